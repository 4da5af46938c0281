package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/sign"
)

// place is a site with its DNS: the name server of example.com, the panel's, and a
// resolver.
type place struct {
	dns, panel *dnstest.Server
	key        sign.Key
	config     string
	dnsTime    time.Duration // 0: patientDNS
}

func newPlace(t *testing.T) *place {
	t.Helper()
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{dns: servers[0], panel: servers[1]}
	t.Cleanup(func() { p.dns.Close(); p.panel.Close() })
	if err := p.dns.Recursive(); err != nil {
		t.Fatal(err)
	}
	for origin, zone := range map[string]string{
		"example.com":            "@ TXT \"v=spf1 ip4:198.51.100.1 ~all\"\n_dmarc TXT \"v=DMARC1; p=none\"\nmx1 A 203.0.113.9\n",
		"113.0.203.in-addr.arpa": "9 PTR mx1.example.com.\n",
		"partner.example":        "@ MX 5 mx.partner.example.\n",
	} {
		if err := p.dns.SetZone(origin, zone); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.panel.SetZone("example.com", "@ NS localhost.\n"); err != nil {
		t.Fatal(err)
	}
	p.writeSite(t)
	return p
}

func (p *place) writeSite(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteKey(filepath.Join(dir, "mail.pem"), signer); err != nil {
		t.Fatal(err)
	}
	p.key = sign.Key{Domain: "example.com", Selector: "mail", Signer: signer}
	p.config = filepath.Join(dir, "mailgate.toml")
	text := fmt.Sprintf(`hostname = "mx1.example.com"
egress = ["203.0.113.9"]
[dns]
resolvers = [%q]
panel = %q
[[domain]]
name = "example.com"
keys = [{ selector = "mail", file = "mail.pem" }]
`, p.dns.Addr(), p.panel.Addr())
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *place) publish(t *testing.T, s *dnstest.Server) {
	t.Helper()
	if err := s.AddTXT(p.key.Name(), p.key.Record()); err != nil {
		t.Fatal(err)
	}
}

func (p *place) app() *app {
	return &app{authorityPort: p.dns.Port(), dnsTime: cmp.Or(p.dnsTime, patientDNS)}
}

// mailgate runs a command and returns its exit code and what it printed.
func (p *place) mailgate(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errOut strings.Builder
	code := run(p.app(), append(args, "--config", p.config), strings.NewReader(""), &out, &errOut)
	return code, out.String() + errOut.String()
}

func TestCheckKeyOnlyInPanel(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.panel)
	code, out := p.mailgate(t, "check", "example.com")
	for _, want := range []string{
		"✗ DKIM   mail              dkim-only-on-local-dns", "NXDOMAIN aa", "only your own server sees this", "spf-softfail", "mx1.example.com",
		"Gmail would say (prediction, rule gmail-unauthenticated):\n    550 5.7.26", p.key.Record()[:60], "v=spf1 ip4:203.0.113.9 ip4:198.51.100.1 ~all",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if code != exitFail || t.Failed() {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestCheckPublished(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.dns)
	p.dns.Remove("example.com", "TXT")
	if err := p.dns.AddTXT("example.com", "v=spf1 ip4:203.0.113.9 -all"); err != nil {
		t.Fatal(err)
	}
	code, out := p.mailgate(t, "check", "example.com")
	if code != exitPass || !strings.Contains(out, "✓ Gmail, Microsoft, Yahoo and iCloud would take it (prediction)") || strings.Contains(out, "Publish") {
		t.Errorf("exit %d\n%s", code, out)
	}
	code, out = p.mailgate(t, "check", "example.com", "--format", "json", "--to", "partner.example")
	var c struct {
		Verdict     string
		Predictions []struct{ Provider, Verdict string }
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if code != exitPass || c.Verdict != "pass" || len(c.Predictions) != 1 || c.Predictions[0].Provider != "other" {
		t.Errorf("exit %d, %+v", code, c)
	}
}

// Without a selector nothing is said about DKIM, and no refusal is predicted that a
// signature could turn.
func TestCheckWithoutSelector(t *testing.T) {
	p := newPlace(t)
	code, out := p.mailgate(t, "check", "partner.example", "--ip", "203.0.113.9")
	if strings.Contains(out, "550 5.7.26") || strings.Contains(out, "keys generate") || !strings.Contains(out, "no selector is known") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out = p.mailgate(t, "check", "example.com", "--selector", "other", "--ip", "203.0.113.9"); code != exitFail || !strings.Contains(out, "dkim-missing") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestCheckWithoutDNS(t *testing.T) {
	p := newPlace(t)
	p.dns.Fault("", dnstest.ServFail)
	code, out := p.mailgate(t, "check", "example.com")
	if code != exitUnknown || strings.Contains(out, "✗") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// A panel that has another key than the world is worth a line, though all is well.
func TestCheckPanelDiffers(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.dns)
	other, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.panel.AddTXT(p.key.Name(), sign.Key{Domain: "example.com", Selector: "mail", Signer: other}.Record()); err != nil {
		t.Fatal(err)
	}
	_, out := p.mailgate(t, "check", "example.com")
	for _, want := range []string{"✓ DKIM   mail ", "(panel)  NOERROR aa  another key", "<- your own server and the world may differ"} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q\n%s", want, out)
		}
	}
}

// Scripts rely on these names.
func TestCheckJSON(t *testing.T) {
	p := newPlace(t)
	code, out := p.mailgate(t, "check", "example.com", "--format", "json")
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != exitFail {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	for _, name := range []string{"domain", "verdict", "report", "keys", "spf_tree", "dmarc", "predictions", "advice"} {
		if len(c[name]) < 3 {
			t.Errorf("%s is %s", name, c[name])
		}
	}
	if _, given := c["at"]; given {
		t.Error("at, though no server was named")
	}
	var tree struct {
		Lookups   *int
		Root      struct{ Terms []struct{ Text string } }
		Addresses []struct{ Result, Term string }
	}
	if err := json.Unmarshal(c["spf_tree"], &tree); err != nil || tree.Lookups == nil || len(tree.Root.Terms) != 2 || tree.Addresses[0].Result != "softfail" || tree.Addresses[0].Term != "~all" {
		t.Errorf("%v, %s", err, c["spf_tree"])
	}
}

// listener passes lines on as they are written.
type listener struct {
	lines chan string
	all   strings.Builder
}

func (l *listener) Write(b []byte) (int, error) {
	l.all.Write(b)
	select {
	case l.lines <- string(b):
	default:
	}
	return len(b), nil
}

// With --wait the record is published while it waits, and the exit code is that of
// the end.
func TestCheckWaits(t *testing.T) {
	p := newPlace(t)
	told := &listener{lines: make(chan string, 1)}
	var out strings.Builder
	ended := make(chan int)
	go func() {
		args := []string{"check", "example.com", "--ip", "198.51.100.1", "--wait", "1h", "--config", p.config}
		ended <- run(p.app(), args, strings.NewReader(""), &out, told)
	}()
	line := <-told.lines
	if !strings.Contains(line, "waiting: DKIM mail dkim-missing (on 0 of 1 name servers)") {
		t.Errorf("told %q", line)
	}
	p.publish(t, p.dns)
	if code := <-ended; code != exitPass || !strings.Contains(out.String(), "✓ DKIM   mail ") || strings.Count(out.String(), "name servers:") != 1 {
		t.Errorf("exit %d\n%s%s", code, out.String(), told.all.String())
	}
}

// Ctrl-C before anything is done.
func TestCheckInterruptedAtOnce(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range []string{"text", "json"} {
		var out, errOut strings.Builder
		root := newRoot(p.app())
		root.SetArgs([]string{"check", "example.com", "example.org", "--format", format, "--config", p.config})
		root.SetOut(&out)
		root.SetErr(&errOut)
		err := root.ExecuteContext(ctx)
		if err == nil || exitCode(err) != exitInterrupted || errOut.String() != "mailgate: interrupted: 0 of 2 checked\n" {
			t.Errorf("%v\n%s", err, errOut.String())
		}
		if want := map[string]string{"text": "", "json": "[]\n"}[format]; out.String() != want {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}
