package smtpd

import (
	"strings"
	"testing"
)

// The postmaster needs no domain (RFC 5321 section 4.1.1.3): it is ours. Nobody else
// gets one, and strangers may not even write to the postmaster.
func TestPostmaster(t *testing.T) {
	const ours = "postmaster@mx1.example.com"
	for _, c := range []struct{ rcpt, want, address string }{
		{"<postmaster>", "250 2.1.5", ours},
		{"<PostMaster>", "250 2.1.5", "PostMaster@mx1.example.com"},
		{" <postmaster>", "250 2.1.5", ours},
		{"<postmaster> NOTIFY=NEVER ORCPT=rfc822;postmaster", "250 2.1.5", ours},
		{"<postmaster@mx1.example.com>", "250 2.1.5", ours},
		{"<postmaster@example.net>", "250 2.1.5", "postmaster@example.net"},
		{"<postmaster@>", "501", ""},
		{`<"postmaster">`, "501", ""},
		{"<postmaster ", "501", ""},
		{"<postmaster>x", "500 5.5.4", ""},
		{"<postmasters>", "501", ""},
		{"<post>", "501", ""},
	} {
		r := start(t, nil)
		k := r.talk(t)
		k.say("MAIL FROM:<ann@example.com>", "250")
		k.say("RCPT TO:"+c.rcpt, c.want)
		if c.address == "" {
			k.say("DATA", "503")
			continue
		}
		k.say("DATA", "354")
		k.send(letter + ".\r\n")
		k.want("250 2.0.0 taken")
		if m, _ := r.spool.last(t); len(m.Recipients) != 1 || m.Recipients[0].Address.String() != c.address {
			t.Errorf("RCPT TO:%s is for %v, want %s", c.rcpt, m.Recipients, c.address)
		}
	}
	k := start(t, func(_ *Config, l *Listener) { l.Trusted = nobody }).talk(t)
	k.say("MAIL FROM:<eve@example.net>", "250")
	k.say("RCPT TO:<postmaster>", "550 5.7.1 relaying denied")
	k.say("DATA", "503")
}

// It is so with lines that end as old applications end them, and once only.
func TestPostmasterLine(t *testing.T) {
	r := start(t, func(_ *Config, l *Listener) { l.Normalise = true })
	k := r.talk(t)
	k.send("MAIL FROM:<>\nRCPT TO:<postmaster>\nRCPT TO:<postmaster>\r\nDATA\r\n" + letter + ".\r\n")
	for _, want := range []string{"250", "250", "250", "354", "250 2.0.0"} {
		k.want(want)
	}
	if m, _ := r.spool.last(t); len(m.Recipients) != 1 || strings.Contains(string(m.Prefix), "<postmaster>") {
		t.Errorf("recipients %v, prefix %q", m.Recipients, m.Prefix)
	}
}
