package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/dnstest"
	"mailgate/internal/sign"
)

// place is a site with its DNS: the name server of example.com, the panel's, and a
// resolver.
type place struct {
	dns, panel *dnstest.Server
	key        sign.Key
	config     string
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

// mailgate runs a command and returns its exit code and what it printed.
func (p *place) mailgate(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errOut strings.Builder
	code := run(&app{authorityPort: p.dns.Port()}, append(args, "--config", p.config), strings.NewReader(""), &out, &errOut)
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
	if strings.Contains(out, "550") || strings.Contains(out, "keys generate") || !strings.Contains(out, "no selector is known") {
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
