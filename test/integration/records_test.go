//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// wantedRecord is a record as `mailgate records --format json` has it.
type wantedRecord struct {
	Check, Type, Name, Value, State string
}

// recordsSite has a key of every kind and a zone that is hard to write down: SPF of
// more than 255 bytes, and quotation marks, backslashes and other bytes in it.
func recordsSite(t *testing.T) (config string, in *internet) {
	t.Helper()
	dir := t.TempDir()
	var keys []string
	for _, kind := range []string{"rsa2048", "rsa3072", "rsa4096", "ed25519"} {
		file := filepath.Join(dir, kind+".pem")
		if out, err := exec.Command(binary, "keys", "generate", "example.com", "--selector", kind, "--type", kind, "--out", file).CombinedOutput(); err != nil {
			t.Fatalf("keys generate: %v\n%s", err, out)
		}
		keys = append(keys, fmt.Sprintf("{ selector = %q, file = %q }", kind, file))
	}
	var networks []string
	for i := range 30 {
		networks = append(networks, fmt.Sprintf("ip4:198.51.100.%d", i))
	}
	long := strings.Join(networks, " ")
	in = startInternet(t, dir, map[string][]string{
		"example.com": {
			fmt.Sprintf(`@ TXT "v=spf1 %s" "%s note=\"a;b\\c\" odd=\195\164 mx -all"`, long[:200], long[200:]),
			`@ TXT "v=spf1 include:_spf.example.com ~all"`, `_spf TXT "v=spf1 ip4:192.0.2.1 -all"`,
			`@ MX 10 mx1`, `mx1 A 203.0.113.9`,
			`_dmarc TXT "v=DMARC1 p=quarantine rua=mailto:\"a;b\\c\"@example.com"`,
			`rsa3072._domainkey TXT "\"v=DKIM1\; k=rsa\" ; (" ")"`,
		},
	}, nil)
	config = filepath.Join(dir, "mailgate.toml")
	text := fmt.Sprintf("hostname = \"mx1.example.com\"\negress = [\"203.0.113.9\", \"2001:db8::9\"]\n[dns]\nresolvers = [%q]\n[[domain]]\nname = \"example.com\"\nkeys = [%s]\n",
		in.resolver, strings.Join(keys, ", "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, in
}

// runRecords returns what `mailgate records` prints on standard output.
func runRecords(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out []byte
	becomes(t, fmt.Sprintf("exit code of records %q", args), strconv.Itoa(code), func() string {
		cmd := exec.Command(binary, append([]string{"records"}, args...)...)
		var err error
		if out, err = cmd.Output(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != 2 && got != code { // 2: DNS took too long
			t.Fatalf("records %q: exit %d, want %d\n%s", args, got, code, out)
		}
		return strconv.Itoa(cmd.ProcessState.ExitCode())
	})
	return string(out)
}

// compiled has BIND read what was printed, between what every zone needs, and
// returns the records it understood.
func compiled(t *testing.T, printed string) []dns.RR {
	t.Helper()
	zone := "$TTL 300\n@ IN SOA ns1.example.com. hostmaster.example.com. 1 3600 600 86400 300\n@ IN NS ns1\nns1 IN A 192.0.2.53\n" + printed
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(zone), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("named-checkzone", "-i", "local", "example.com", file).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "OK\n") {
		t.Fatalf("named-checkzone: %v\n%s\n%s", err, out, zone)
	}
	cmd := exec.Command("named-compilezone", "-q", "-i", "local", "-f", "text", "-F", "text", "-s", "full", "-o", "-", "example.com", file)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("named-compilezone: %v\n%s", err, text)
	}
	var all []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(string(text)), "example.com.", file)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		all = append(all, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return all
}

// bytesOf is a TXT record's value as it goes over the wire, and how many strings
// it is made of.
func bytesOf(t *testing.T, rr dns.RR) (value string, strings int) {
	t.Helper()
	wire := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	_, at, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at += 10; at < end; strings++ { // type, class, TTL, length
		n := 1 + int(wire[at])
		value += string(wire[at+1 : at+n])
		at += n
	}
	return value, strings
}

// TestRecordsAsZoneFile has BIND read all that records --as bind prints, and finds
// every value in it, byte for byte.
func TestRecordsAsZoneFile(t *testing.T) {
	config, _ := recordsSite(t)
	var shown struct{ Records []wantedRecord }
	if err := json.Unmarshal([]byte(runRecords(t, 0, "example.com", "--config", config, "--format", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Records) != 6 {
		t.Fatalf("records: %+v", shown.Records)
	}
	found := map[string]string{}
	pieces := map[string]int{}
	for _, rr := range compiled(t, runRecords(t, 0, "example.com", "--config", config, "--as", "bind")) {
		if rr.Header().Rrtype == dns.TypeTXT {
			name := rr.Header().Name
			if _, again := found[name]; again {
				t.Errorf("two TXT records at %s", name)
			}
			found[name], pieces[name] = bytesOf(t, rr)
		}
	}
	for _, r := range shown.Records {
		if got := found[r.Name+"."]; got != r.Value {
			t.Errorf("%s is read by BIND as\n%q, want\n%q", r.Name, got, r.Value)
		}
		if want := (len(r.Value) + 254) / 255; pieces[r.Name+"."] != want {
			t.Errorf("%s has %d strings, want %d", r.Name, pieces[r.Name+"."], want)
		}
	}
	spf := found["example.com."]
	for _, part := range []string{" ip4:203.0.113.9 ip6:2001:db8::9 ", " ip4:198.51.100.29 ", ` note="a;b\c" `, " odd=\xc3\xa4 ", " mx ", " include:_spf.example.com ", " ~all"} {
		if !strings.Contains(spf, part) {
			t.Errorf("SPF %q lacks %q", spf, part)
		}
	}
	if len(spf) <= 255 || len(found["rsa4096._domainkey.example.com."]) <= 2*255 {
		t.Errorf("nothing of it is long:\n%q", found)
	}
}

// What isn't known is not in the zone file, lest it stands beside what is published.
func TestRecordsAsZoneFileWithoutDNS(t *testing.T) {
	config, in := recordsSite(t)
	in.unbound.stop()
	for _, rr := range compiled(t, runRecords(t, 2, "example.com", "--config", config, "--as", "bind")) {
		if name := rr.Header().Name; rr.Header().Rrtype == dns.TypeTXT && !strings.HasSuffix(name, "._domainkey.example.com.") {
			t.Errorf("%s is in the zone file, while nobody knows what is published", rr)
		}
	}
}
