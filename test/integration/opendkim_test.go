//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mta "github.com/d--j/go-milter"

	"mailgate/internal/dnstest"
	"mailgate/internal/sign"
)

// opendkimPlan is one configuration of OpenDKIM.
type opendkimPlan struct {
	conf    string            // DIR stands for its directory
	tables  map[string]string // further files
	keys    []string          // key files
	signed  int               // of the messages, at least
	differs int               // addresses that import says are signed otherwise
}

// opendkimPlans are the ways to choose a key that mailgate has, too; what it hasn't
// is in the differences that import lists.
var opendkimPlans = map[string]opendkimPlan{
	"patterns": {
		conf: "KeyTable file:DIR/key.table\nSigningTable refile:DIR/signing.table\nOversignHeaders From\n",
		tables: map[string]string{
			"key.table": "com example.com:mail:DIR/com.pem\nnet example.net:s2026:DIR/net.pem\n" +
				"org %:o1:DIR/org.pem\nnews example.com:news:DIR/news.pem\nidn xn--bcher-kva.example:mail:DIR/com.pem\n",
			"signing.table": "# more special ones first\nnews@Example.com news\n*@example.com com\n*@*.example.com com\n" +
				"*@Example.NET net:@%\n*@mail.example.net net\n*@example.org org # own\n*@shop.example.org org\n*@xn--bcher-kva.example idn\n",
		},
		keys: []string{"com", "net", "org", "news"}, signed: 80, differs: 1,
	},
	"names": {
		conf: "KeyTable DIR/key.table\nSigningTable file:DIR/signing.table\n",
		tables: map[string]string{
			"key.table":     "example.com example.com:mail:DIR/com.pem\nexample.net example.net:s2026:DIR/net.pem\n",
			"signing.table": "example.com %\n.example.com example.com\nshop.example.org example.com\nexample.net %\nann@example.org example.net\n",
		},
		keys: []string{"com", "net"}, signed: 50, differs: 1,
	},
	"several": {
		conf: "KeyTable DIR/key.table\nSigningTable refile:DIR/signing.table\nMultipleSignatures yes\n",
		tables: map[string]string{
			"key.table":     "a example.com:a:DIR/com.pem\nb example.com:b:DIR/net.pem\n",
			"signing.table": "*@example.com a\n*@*.example.com b\n*@sub.example.com b\n*@example.com b\n*@*xample.info b\n",
		},
		keys: []string{"com", "net"}, signed: 30, differs: 1,
	},
	"one key": {
		conf: "Domain example.com, example.org,EXAMPLE.net\nSelector s1\nKeyFile DIR/com.pem\nSubDomains yes\n",
		keys: []string{"com"}, signed: 70,
	},
	"one key, no sub-domains": {
		conf: "Domain csl:example.com,example.org\nSelector s1\nKeyFile DIR/com.pem\nExemptDomains example.org\n",
		keys: []string{"com"}, signed: 10,
	},
}

// fromFields are 100 From fields: ten domains, ten ways to write them.
func fromFields() []string {
	domains := []string{
		"example.com", "sub.example.com", "a.b.example.com", "example.net", "mail.example.net", "example.org",
		"shop.example.org", "unknown.example", "notexample.com", "xn--bcher-kva.example",
	}
	ways := []func(i int, d string) string{
		func(_ int, d string) string { return "ann@" + d },
		func(_ int, d string) string { return "<Bob.Smith@" + d + ">" },
		func(_ int, d string) string { return "Ann Example <ann+tag@" + d + ">" },
		func(_ int, d string) string { return `"Example, Ann" <ann.example@` + d + ">" },
		func(_ int, d string) string { return "CID@" + strings.ToUpper(d) },
		func(_ int, d string) string { return "=?utf-8?q?J=C3=B6rg?= <joerg@" + d + ">" },
		func(_ int, d string) string { return "Somebody with a long name\n <somebody@" + d + ">" },
		func(_ int, d string) string { return "dora@" + d + " (Dora)" },
		func(i int, d string) string { return fmt.Sprintf("\"user@other.example\" <user%d@%s>", i, d) },
		func(_ int, d string) string { return "no-reply@" + strings.ToUpper(d[:1]) + d[1:] },
	}
	var all []string
	for i, d := range domains {
		for _, way := range ways {
			all = append(all, way(i, d))
		}
	}
	return all
}

// TestOpenDKIM signs the same 100 messages with OpenDKIM and with mailgate, on what
// keys import makes of OpenDKIM's configuration: d= and s= are the same. Where import
// says that they differ, they differ in just that way.
func TestOpenDKIM(t *testing.T) {
	for name, plan := range opendkimPlans {
		t.Run(name, func(t *testing.T) {
			old, gate, listed := twoSigners(t, plan)
			if len(listed) != plan.differs {
				t.Errorf("%d differences, want %d: %v", len(listed), plan.differs, listed)
			}
			signed := 0
			for i, from := range fromFields() {
				if slices.ContainsFunc(listed, func(d difference) bool { return strings.HasSuffix(strings.ToLower(from), d.From) }) {
					continue // looked at below
				}
				before, now := signaturesOf(t, old, i, from), signaturesOf(t, gate, i, from)
				if !slices.Equal(before, now) {
					t.Errorf("From: %s\n OpenDKIM %v\n mailgate %v", from, before, now)
				}
				if len(before) > 0 {
					signed++
				}
			}
			t.Logf("100 messages, %d of them signed, by both alike", signed)
			if signed < plan.signed {
				t.Errorf("only %d of 100 are signed at all, want %d", signed, plan.signed)
			}
			for i, d := range listed {
				if got := signaturesOf(t, old, 200+i, d.From); !slices.Equal(got, d.Old) {
					t.Errorf("%s: OpenDKIM signs %v, import says %v", d.From, got, d.Old)
				}
				if got := signaturesOf(t, gate, 200+i, d.From); !slices.Equal(got, d.New) {
					t.Errorf("%s: mailgate signs %v, import says %v", d.From, got, d.New)
				}
			}
		})
	}
}

// difference is one that import lists.
type difference struct {
	From     string
	Old, New []string
}

// twoSigners starts OpenDKIM, imports its configuration and starts mailgate with that.
// It returns where both listen.
func twoSigners(t *testing.T, plan opendkimPlan) (old, gate string, listed []difference) {
	dir := makeDir(t)
	old, gate = address(0, 10)+":8891", address(0, 11)+":8891"
	for _, k := range plan.keys {
		key, err := sign.Generate("rsa2048")
		if err != nil {
			t.Fatal(err)
		}
		if err := sign.WriteKey(filepath.Join(dir, k+".pem"), key); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range plan.tables {
		writeFile(t, filepath.Join(dir, name), strings.ReplaceAll(text, "DIR", dir), 0o644)
	}
	host, port, _ := strings.Cut(old, ":")
	conf := filepath.Join(dir, "opendkim.conf")
	// Anybody may write to /tmp, which is enough for OpenDKIM to refuse keys below it.
	writeFile(t, conf, fmt.Sprintf("Mode s\nSyslog no\nRequireSafeKeys no\nCanonicalization relaxed/relaxed\nInternalHosts 127.0.0.1\nSocket inet:%s@%s\n", port, host)+
		strings.ReplaceAll(plan.conf, "DIR", dir), 0o644)
	p := start(t, dir, "opendkim", "opendkim", "-f", "-x", conf)
	p.ready(t, func() bool { return listening("tcp", old) })

	var imported struct {
		TOML        string
		Differences []difference
	}
	g := &gateway{dir: dir, config: filepath.Join(dir, "mailgate.toml"), milter: gate, socket: filepath.Join(dir, "control.sock")}
	text, _ := g.command(t, "keys", "import", "--opendkim", conf, "--format", "json")
	if err := json.Unmarshal([]byte(text), &imported); err != nil {
		t.Fatalf("keys import: %v\n%s", err, text)
	}
	toml := strings.Replace(imported.TOML, `"inet:`+old+`"`, `"inet:`+gate+`"`, 1)
	if !strings.Contains(toml, gate) {
		t.Fatalf("the milter's address isn't OpenDKIM's:\n%s", toml)
	}
	writeFile(t, g.config, "mode = \"observe\"\nhostname = \"mx1.gate.test\"\n"+toml+
		fmt.Sprintf("[control]\nsocket = %q\n[store]\nurl = \"sqlite:%s/mailgate.db\"\n[dns]\nresolvers = [%q]\nauthoritative = false\n", g.socket, dir, emptyDNS(t)), 0o600)
	g.serve(t)
	return old, gate, imported.Differences
}

// emptyDNS serves an Internet in which nothing is published.
func emptyDNS(t *testing.T) string {
	t.Helper()
	s, err := dnstest.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Recursive(); err != nil {
		t.Fatal(err)
	}
	return s.Addr()
}

// signaturesOf has a milter sign a message of this machine's, and returns d= and s=
// of the signatures it adds, sorted.
func signaturesOf(t *testing.T, milter string, n int, from string) []string {
	t.Helper()
	macros := mta.NewMacroBag()
	macros.Set(mta.MacroMTAFQDN, "mx1.gate.test")
	s, err := mta.NewClient("tcp", milter, mta.WithDialer(&net.Dialer{}), mta.WithReadTimeout(patience), mta.WithWriteTimeout(patience)).Session(macros)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	goesOn := func(a *mta.Action, err error) *mta.Action {
		t.Helper()
		if err != nil {
			t.Fatalf("From: %s: %v", from, err)
		}
		return a
	}
	goesOn(s.Conn("localhost", mta.FamilyInet, 4711, "127.0.0.1"))
	goesOn(s.Helo("localhost"))
	macros.Set(mta.MacroQueueId, fmt.Sprintf("4XYZ%d", n))
	goesOn(s.Mail("bounce@envelope.example", ""))
	goesOn(s.Rcpt("bob@other.test", ""))
	goesOn(s.DataStart())
	for _, f := range [][2]string{
		{"From", from}, {"To", "Bob <bob@other.test>"}, {"Subject", fmt.Sprintf("Number %d", n)},
		{"Date", "Mon, 2 Nov 2026 10:00:00 +0000"}, {"Message-ID", fmt.Sprintf("<%d@gate.test>", n)},
	} {
		goesOn(s.HeaderField(f[0], f[1], nil))
	}
	all := []string{}
	if a := goesOn(s.HeaderEnd()); a.Type == mta.ActionAccept {
		return all
	}
	if a := goesOn(s.BodyChunk([]byte("Hello.\r\n"))); a.Type == mta.ActionAccept {
		return all
	}
	edits, a, err := s.End()
	if goesOn(a, err); a.Type != mta.ActionAccept && a.Type != mta.ActionContinue {
		t.Fatalf("From: %s: the milter answers %v", from, a)
	}
	for _, e := range edits {
		if strings.EqualFold(e.HeaderName, "DKIM-Signature") {
			all = append(all, "d="+tag(e.HeaderValue, "d")+" s="+tag(e.HeaderValue, "s"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all) // OpenDKIM signs twice with one key where two patterns say so
}

// tag is the value of a tag of a DKIM signature.
func tag(signature, name string) string {
	for part := range strings.SplitSeq(signature, ";") {
		if key, value, _ := strings.Cut(strings.TrimSpace(part), "="); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
