package smtpd

import (
	"net/netip"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

// The usual ways to find an open relay. A stranger gets nothing; a trusted client
// no more than plain addresses.
func TestOpenRelay(t *testing.T) {
	routes := []string{
		"<eve@example.net>",
		"<eve%example.net@mx1.example.com>",
		"<eve%example.net@[127.0.0.1]>",
		"<example.net!eve>",
		"<example.net!eve@mx1.example.com>",
		"<@mx1.example.com:eve@example.net>",
		"<@mx1.example.com,@a.example:eve@example.net>",
		`<"eve@example.net"@mx1.example.com>`,
		`<"eve%example.net"@mx1.example.com>`,
		`<"eve@example.net">`,
		`<"victim@evil.com> "@local>`,
		`<"<eve@example.net>"@mx1.example.com>`,
		`<"eve\"@example.net"@mx1.example.com>`,
		"<eve@[192.0.2.1]>",
		"<eve@[IPv6:2001:db8::1]>",
		"<eve@192.0.2.1>",
		"<eve@example.net@mx1.example.com>",
		"<eve>",
		"<>",
		"eve@example.net>",
		"<eve@example.net",
		"<eve@exa mple.net>",
		"<ev\x80e@example.net>",
		"<" + strings.Repeat("a", 300) + "@example.net>",
		"<eve@" + strings.Repeat("a.", 200) + "net>",
	}
	for name, trusted := range map[string]bool{"stranger": false, "trusted": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *Config, l *Listener) {
				c.Limits.Errors = 1000
				if !trusted {
					l.Trusted = nobody
				}
			})
			for _, sender := range []string{"<>", "<ann@example.com>", "<root@mx1.example.com>", "<eve@example.net>"} {
				k := r.talk(t)
				for i, to := range routes {
					k.say("MAIL FROM:"+sender, "250")
					k.send("RCPT TO:" + to + "\r\n")
					got := k.reply()
					if good := trusted && i == 0; good != strings.HasPrefix(got, "250") || got[0] == '4' {
						t.Errorf("%s from %s: %q", to, sender, got)
					}
					if want := "550 5.7.1 "; !trusted && i == 0 && !strings.HasPrefix(got, want) {
						t.Errorf("%s from %s: %q, want %s", to, sender, got, want)
					}
					if !trusted {
						k.say("DATA", "503 5.5.1")
					}
					k.say("RSET", "250")
				}
			}
			if r.spool.count() != 0 {
				t.Error("something was taken")
			}
		})
	}
}

func TestSenders(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	for _, c := range []struct{ line, want string }{
		{"<>", "250"},
		{"<ann@EXAMPLE.com>", "250"},
		{"<bounce+bob=gmail.com@example.com>", "250"},
		{"<100%@example.com>", "250"},
		{`<"two words"@example.com>`, "250"},
		{`<"ann"@example.com>`, "250"},
		{"<a..b@example.com>", "250"},
		{`<"victim@evil.com> "@local>`, "553 5.1.7"},
		{`<"a\@b"@example.com>`, "553 5.1.7"},
		{"<@a.example:ann@example.com>", "553 5.1.7"},
		{"<ann@[192.0.2.1]>", "553 5.1.7"},
		{"<ann@exa_mple..com>", "553 5.1.7"},
		{"<j\u00f6rg@example.com>", "553 5.6.7"},
		{"<j\u00f6rg@example.com> SMTPUTF8", "250"},
		{"<ann@b\u00fccher.example> SMTPUTF8", "250"},
		{"<j\xf6rg@example.com> SMTPUTF8", "553 5.1.7"},
		{"<\u202eann@example.com> SMTPUTF8", "553 5.1.7"},
		{"<ann@example.com> SIZE=36700160", "250"},
		{"<ann@example.com> SIZE=36700161", "552 5.3.4"},
		{"<ann@example.com> SIZE=x", "501"},
		{"<ann@example.com> XODD=1", "500"},
	} {
		k.say("MAIL FROM:"+c.line, c.want)
		k.say("RSET", "250")
	}
	k.say(`MAIL FROM:<"two words"@example.com>`, "250")
	k.say(`RCPT TO:<"b b"@gmail.com>`, "250")
	k.say("DATA", "354")
	k.send(letter + ".\r\n")
	k.want("250 2.0.0")
	m, _ := r.spool.last(t)
	if got := m.Envelope.From.String() + " " + m.Recipients[0].Address.String(); got != `"two words"@example.com "b b"@gmail.com` {
		t.Errorf("addresses %s", got)
	}
	if !strings.Contains(string(m.Prefix), `for <"b b"@gmail.com>`) {
		t.Errorf("prefix %q", m.Prefix)
	}
}

// From domains that a client may write as.
func TestSendAs(t *testing.T) {
	r := start(t, func(_ *Config, l *Listener) {
		l.Trusted = func(netip.Addr) (Rights, bool) { return Rights{SendAs: []mail.Domain{"example.com"}}, true }
	})
	k := r.talk(t)
	for _, c := range []struct{ from, want string }{
		{"Ann <ann@Example.COM>", "250"},
		{"<ann@example.net>", "550 5.7.1"},
		{"<ann@sub.example.com>", "550 5.7.1"},
		{"<ann@example.com>, <eve@example.net>", "550 5.6.0"},
		{"undisclosed:;", "550 5.6.0"},
	} {
		if got := k.deliver("From: " + c.from + "\r\n\r\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("From %s: %q, want %s", c.from, got, c.want)
		}
	}
	if got := k.deliver("From: a@example.com\r\nFrom: e@example.net\r\n\r\n"); !strings.HasPrefix(got, "550 5.6.0") {
		t.Errorf("two From: %q", got)
	}
	if got := k.deliver("Subject: x\r\n\r\n"); !strings.HasPrefix(got, "550 5.6.0") {
		t.Errorf("no From: %q", got)
	}
	if n := r.spool.count(); n != 1 {
		t.Errorf("%d messages taken", n)
	}
}

func TestHeader(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	message := "Return-Path: <x@example.com>\r\nBCC: hidden@example.net,\r\n\tother@example.net\r\nFrom: ann@example.com\r\n" +
		"resent-bcc: y@example.net\r\nX-Mailgate-Release: token\r\nSubject: a\r\n\tb\r\n\r\nBcc: stays in the body\r\n"
	if got := k.deliver(message); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	m, content := r.spool.last(t)
	if content != "From: ann@example.com\r\nSubject: a\r\n\tb\r\n\r\nBcc: stays in the body\r\n" {
		t.Errorf("kept %q", content)
	}
	_, added, _ := strings.Cut(string(m.Prefix), "for <bob@gmail.com>;\r\n")
	want := "\tSat, 21 Nov 2026 16:22:03 +0000\r\nDate: Sat, 21 Nov 2026 16:22:03 +0000\r\nMessage-ID: " + m.MessageID + "\r\n"
	if added != want || !strings.HasPrefix(m.MessageID, "<"+m.Envelope.QueueID+".") || !strings.HasSuffix(m.MessageID, "@mx1.example.com>") {
		t.Errorf("added %q, Message-ID %s", added, m.MessageID)
	}
	if h := r.gate.last(t).header; h.Get("Date") == "" || h.MessageID() != m.MessageID || h.Get("Bcc") != "" || len(h) != 4 {
		t.Errorf("the gate saw %q", h.Bytes())
	}
	if got := k.deliver("no header\r\n\r\n"); !strings.HasPrefix(got, "550 5.6.0 malformed header") {
		t.Errorf("no header: %q", got)
	}
	if got := k.deliver("From: ann@example.com\r\n"); !strings.HasPrefix(got, "250") {
		t.Errorf("header only: %q", got)
	}
	if _, content := r.spool.last(t); content != "From: ann@example.com\r\n\r\n" {
		t.Errorf("header only: kept %q", content)
	}
}

func TestHELOName(t *testing.T) {
	r := start(t, nil)
	for helo, want := range map[string]string{
		"EXCH_01.corp.local":     "EXCH_01.corp.local",
		"[IPv6:::1]":             "[IPv6:::1]",
		"a(b)":                   "unknown",
		"x;by=evil":              "unknown",
		strings.Repeat("h", 300): strings.Repeat("h", maxHelo),
	} {
		k := r.dial(t)
		k.want("220")
		k.say("HELO "+helo, "250")
		k.deliver(letter)
		m, _ := r.spool.last(t)
		if !strings.Contains(string(m.Prefix), "Received: from "+want+" ([127.0.0.1])\r\n\tby mx1.example.com with SMTP\r\n") {
			t.Errorf("HELO %s: %q", helo, m.Prefix)
		}
	}
}

// Both readings of an address must agree.
func TestTwoReadings(t *testing.T) {
	if a, err := envelopeAddress("MAIL FROM: <ann@example.com> SIZE=1", "ann@example.com"); err != nil || a.String() != "ann@example.com" {
		t.Errorf("%v, %v", a, err)
	}
	for line, unquoted := range map[string]string{
		"MAIL FROM:<ann@example.com>":   "eve@example.net",
		"MAIL FROM:<>":                  "eve@example.net",
		`MAIL FROM:<"a>b"@example.com>`: "ann@example.com",
	} {
		if a, err := envelopeAddress(line, unquoted); err == nil {
			t.Errorf("%s, read as %s, is %v", line, unquoted, a)
		}
	}
}
