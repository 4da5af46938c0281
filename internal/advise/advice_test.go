package advise

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mailgate/internal/preflight"
)

var update = flag.Bool("update", false, "write the golden files")

func readReport(t *testing.T, name string) *preflight.Report {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(preflight.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// rsaRecord is as long as that of a key of so many bits.
func rsaRecord(bits int) string {
	length := map[int]int{2048: 392, 3072: 564}[bits]
	return "v=DKIM1; k=rsa; p=MII" + strings.Repeat("abcdefgh", 100)[:length-7] + "IDAQAB"[:4]
}

func keysOf(domain string, selectors ...string) []Key {
	var keys []Key
	for _, s := range selectors {
		keys = append(keys, Key{domain, s, rsaRecord(2048)})
	}
	return keys
}

// TestAdvice compares with testdata/NAME.golden what is printed for the report
// testdata/NAME.json.
func TestAdvice(t *testing.T) {
	ed25519 := Key{"news.example.com", "mail-e", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
	for _, c := range []struct {
		report string
		host   Host // "": told from the name servers
		want   Want
	}{
		{"panel", "", Want{Keys: keysOf("example.com", "mail")}},
		{"panel", BIND, Want{Keys: keysOf("example.com", "mail")}},
		{"panel", CPanel, Want{Keys: keysOf("example.com", "mail")}},
		{"panel", Hestia, Want{Keys: keysOf("example.com", "mail")}},
		{"panel", Route53, Want{Keys: keysOf("example.com", "mail")}},
		{"panel", Web, Want{Keys: keysOf("example.com", "mail"), All: true}},
		{"nothing", "", Want{Keys: append(keysOf("news.example.com", "mail"), ed25519), Zones: []string{"example.com"}}},
		{"nothing", Aliyun, Want{Keys: []Key{{"news.example.com", "mail", rsaRecord(3072)}}}},
		{"muddle", "", Want{Keys: keysOf("example.com", "mail", "wrong", "short"), Zones: []string{"example.com", "example.net"}}},
		{"muddle", Web, Want{Keys: keysOf("example.com", "mail"), Zones: []string{"example.org"}}},
		{"odd", "", Want{Keys: keysOf("example.com", "mail", "two")}},
		{"disagree", "", Want{Keys: keysOf("example.com", "mail")}},
		{"includes", "", Want{}},
		{"type99", "", Want{}},
		{"unknown", "", Want{Keys: keysOf("example.com", "mail")}},
		{"unknown", Cloudflare, Want{Keys: keysOf("example.com", "mail"), All: true}},
	} {
		name := c.report
		if c.host != "" {
			name += "-" + string(c.host)
		}
		t.Run(name, func(t *testing.T) {
			report := readReport(t, c.report)
			if c.want.Zones == nil {
				report.Facts.DMARC.SuffixOrg = "example.com"
			}
			host, title := c.host, ""
			if host == "" {
				host, title = DetectHost(report.NameServers)
			}
			var got bytes.Buffer
			if err := Write(&got, For(report, c.want), Always(host, title)); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNothingWrongIsNothingToDo(t *testing.T) {
	report := readReport(t, "panel")
	for i := range report.Findings {
		report.Findings[i].Status = preflight.Pass
	}
	a := For(report, Want{Keys: keysOf("example.com", "mail")})
	if len(a.Records) > 0 || len(a.Steps) > 0 {
		t.Errorf("%+v", a)
	}
	var b bytes.Buffer
	if err := Write(&b, a, Always(BIND, "")); err != nil || b.Len() > 0 {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// A record that isn't known whole is never replaced.
func TestClippedRecordIsLeftAlone(t *testing.T) {
	report := readReport(t, "muddle")
	for i := range report.Findings {
		for _, o := range report.Findings[i].Evidence {
			for j := range o.Records {
				o.Records[j] += "… (600 characters)"
			}
		}
	}
	for _, r := range For(report, Want{}).Records {
		t.Errorf("%s record %s", r.Check, r.Value)
	}
}

// A zone file's line means to a name server what the record says.
func TestZoneFileLines(t *testing.T) {
	for _, value := range []string{
		rsaRecord(2048), rsaRecord(3072), "v=spf1 -all", "", strings.Repeat("x", 255), strings.Repeat("y", 256),
		`a "quoted" \ value; with semicolon`, "\x00\x7f\xff\t",
	} {
		r := Record{Type: "TXT", Name: "mail._domainkey.example.com", Zone: "example.com", TTL: 300, Value: value}
		checkZoneLine(t, r)
	}
	checkZoneLine(t, Record{Type: "AAAA", Name: "mx1.example.com", Zone: "example.com", TTL: 300, Value: "2001:db8::9"})
}

func FuzzZoneFileLine(f *testing.F) {
	f.Add("v=DKIM1; k=rsa; p=MII")
	f.Add(`"\` + "\n\x00\xff")
	f.Add(strings.Repeat("a;", 300))
	f.Fuzz(func(t *testing.T, value string) {
		checkZoneLine(t, Record{Type: "TXT", Name: "x.example.com", Zone: "example.com", TTL: 300, Value: value})
	})
}

func checkZoneLine(t *testing.T, r Record) {
	t.Helper()
	l := line(r, BIND)
	rr, err := dns.NewRR("$ORIGIN wrong.example.\n" + l + "\n")
	if err != nil || rr == nil {
		t.Fatalf("%s: %v", l, err)
	}
	// Over the wire, so that escapes are undone by somebody else.
	wire := make([]byte, 65535)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	if got := rr.Header(); got.Name != r.Name+"." || got.Ttl != r.TTL || dns.TypeToString[got.Rrtype] != r.Type {
		t.Errorf("%s is read as %s", l, got)
	}
	if r.Type == "TXT" {
		const fixed = 2 + 2 + 4 + 2 // type, class, TTL, length
		if got := joinStrings(wire[len(r.Name)+2+fixed : n]); got != r.Value {
			t.Errorf("%s\nis read as %q\nwant       %q", l, got, r.Value)
		}
	}
}

// joinStrings joins character-strings as they are on the wire.
func joinStrings(data []byte) string {
	var b strings.Builder
	for len(data) > 0 {
		n := 1 + int(data[0])
		b.Write(data[1:n])
		data = data[n:]
	}
	return b.String()
}

func TestReverseName(t *testing.T) {
	for _, a := range addresses("203.0.113.9", "2001:db8::9", "::ffff:192.0.2.1") {
		want, err := dns.ReverseAddr(a.String())
		if err != nil || reverseName(a)+"." != want {
			t.Errorf("%s: %s, want %s (%v)", a, reverseName(a), want, err)
		}
	}
}
