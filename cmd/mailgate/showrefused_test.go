package main

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// What a receiver refused is shown as its answer: who, when, in which words, and what
// to do about it, since nothing in DNS explains it. Each code shown can be looked up.
func TestShowRealRefusal(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	err := s.dns.SetZone("one.example", "@ NS ada.ns.cloudflare.com.\n@ MX 10 mx\nmx A 127.0.0.1\n@ TXT \"v=spf1 ip4:127.0.0.1 ~all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n")
	if err != nil {
		t.Fatal(err)
	}
	s.publish()
	s.receiver.answer(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: "This mail is unauthenticated"})
	s.mustSend("refused", "bob@gmail.test")
	s.awaitState("refused", "held")
	id := s.message("refused").ID
	text, err := s.run("quarantine", "show", id)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"; its receiver refused it, although by DNS it would take it\n       mx.gmail.test refused mail of this sender on 2",
		"held (its receiver refused it)\n         answer of Gmail, rule gmail-unauthenticated:\n         550 5.7.26 This mail is unauthenticated\n",
		", Received id ",
		"What it means: mailgate explain receiver-refused\n",
		"by relay: the receiver refused it as not authenticated; receiver-refused; -> 550 5.7.26",
		"\nNext: look at what the receiver saw: ",
		"mailgate quarantine release " + id + ` --anyway --reason "…" (it leaves by itself when a finding changes)`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing of %q in\n%s", want, text)
		}
	}
	for _, wrong := range []string{"predict", "Postfix", "✗ DKIM", "✗ SPF"} {
		if strings.Contains(text, wrong) {
			t.Errorf("%q in\n%s", wrong, text)
		}
	}
	for _, code := range s.message("refused").Recipients[0].Codes {
		if text, err := s.run("explain", code); err != nil || !strings.Contains(text, "release ID --anyway") {
			t.Errorf("explain %s: %v\n%s", code, err, text)
		}
		if text, err := s.run("quarantine", "list", "--finding", code); err != nil || !strings.Contains(text, id) {
			t.Errorf("list --finding %s: %v\n%s", code, err, text)
		}
	}
}

// A line that is too long is told of with what is held, though no report has it.
func TestShowLongLine(t *testing.T) {
	s := startRelaySite(t, "")
	s.mustSend("long\r\nX-Long: "+strings.Repeat("x", 1_000), "bob@gmail.test")
	text, err := s.run("quarantine", "show", s.message("long").ID)
	if err != nil || !strings.Contains(text, "mailgate explain line-too-long\n") || !strings.Contains(text, "mailgate explain dkim-") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := s.run("explain", "line-too-long"); err != nil || !strings.Contains(text, "998 bytes") {
		t.Errorf("%v\n%s", err, text)
	}
}
