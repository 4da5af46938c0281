package main

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
	"mailgate/internal/spool"
)

// A report of the relay, from its hostname, is signed by the key of the domain above;
// mail that somebody else sends as the hostname isn't.
func TestReportsAreSigned(t *testing.T) {
	s := startRelaySite(t, "trusted = [\"127.0.0.0/8\"]\n")
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteKey(filepath.Join(s.dir, "keys", "site.pem"), signer); err != nil {
		t.Fatal(err)
	}
	s.publish()
	s.reconfigure("[[domain]]", "[[domain]]\nname = \"site.test\"\nkeys = [{ selector = \"mail\", file = \"keys/site.pem\" }]\n[[domain]]")
	s.mustSend("lost", "bob@nomail.test")
	report := s.awaitArrival()
	if report.to[0] != "ann@one.example" || !strings.HasPrefix(report.content, "DKIM-Signature:") || !strings.Contains(report.content, "d=site.test") {
		t.Errorf("to %v\n%s", report.to, report.content)
	}
}

func TestIsOwnReport(t *testing.T) {
	own := func() *spool.Message {
		return &spool.Message{Source: "relay", From: mail.Address{Local: "MAILER-DAEMON", Domain: "mx1.site.test"}}
	}
	if !isOwnReport(own()) {
		t.Error("our own isn't ours")
	}
	for name, change := range map[string]func(*spool.Message){
		"through the milter": func(m *spool.Message) { m.Source = "milter" },
		"from a client":      func(m *spool.Message) { m.Envelope.Client = netip.MustParseAddr("127.0.0.1") },
		"from a sender":      func(m *spool.Message) { m.Envelope.From = m.From },
		"from somebody else": func(m *spool.Message) { m.From.Local = "ann" },
	} {
		m := own()
		if change(m); isOwnReport(m) {
			t.Errorf("%s: taken for our own", name)
		}
	}
}
