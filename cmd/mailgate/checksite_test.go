package main

import (
	"os"
	"strings"
	"testing"
)

// A key that is missing concerns its own domain: that one is checked without it, and
// the others as ever.
func TestCheckWithAMissingKey(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.dns)
	p.edit(t, func(text string) string {
		return text + "[[domain]]\nname = \"other.example\"\nsubdomains = true\nkeys = [{ selector = \"s\", file = \"none.pem\" }]\n"
	})
	p.set(t, "other.example", "@ TXT \"v=spf1 ip4:203.0.113.9 -all\"\n")
	for _, c := range []struct {
		args         []string
		code         int
		want, absent string
	}{
		{[]string{"check", "example.com"}, exitFail, "✓ DKIM mail The published key is the one that signs", "other.example"},
		{[]string{"records", "example.com"}, exitPass, "example.com", "other.example"},
		{[]string{"check", "other.example"}, exitConfig, "key s of other.example: ", "no selector is known"},
		{[]string{"check", "other.example"}, exitConfig, "✗ DKIM   s", ""},
		{[]string{"check", "news.other.example"}, exitConfig, "No key is published at s._domainkey.other.example", ""},
		{[]string{"check", "--all", "--format", "json"}, exitConfig, `"domain": "example.com"`, `"exit_code"`},
		{[]string{"records", "other.example"}, exitConfig, "key s of other.example: ", ""},
	} {
		code, out := p.mailgate(t, c.args...)
		if flat := strings.Join(strings.Fields(out), " "); code != c.code || !strings.Contains(flat, strings.Join(strings.Fields(c.want), " ")) || c.absent != "" && strings.Contains(flat, c.absent) {
			t.Errorf("%q: exit %d, not %d; or no %q, or %q\n%s", c.args, code, c.code, c.want, c.absent, out)
		}
	}
}

// Who says all on the command line is answered whatever the configuration is like.
func TestCheckWithABrokenConfiguration(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.dns)
	p.edit(t, func(text string) string { return strings.Replace(text, "egress", "egres", 1) })
	all := []string{"check", "example.com", "--selector", "mail", "--ip", "203.0.113.9", "--at", p.dns.Addr()}
	code, out := p.mailgate(t, all...)
	if code == exitConfig || !strings.Contains(out, "✓ DKIM") || !strings.Contains(out, "the configuration can't be used and is left aside") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out := p.mailgate(t, all[:4]...); code != exitConfig {
		t.Errorf("with less than all: exit %d\n%s", code, out)
	}
	if err := os.Remove(p.config); err != nil {
		t.Fatal(err)
	}
	if code, out := p.mailgate(t, all...); code != exitConfig {
		t.Errorf("without the file named: exit %d\n%s", code, out)
	}
}

func (p *place) edit(t *testing.T, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	if err == nil {
		err = os.WriteFile(p.config, []byte(change(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
