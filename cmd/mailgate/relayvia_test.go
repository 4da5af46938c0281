package main

import (
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// With release.via = "relay", which is the default without a milter, what a milter
// held leaves through the relay, signed.
func TestReleaseViaRelay(t *testing.T) {
	s := startRelaySite(t, "")
	bob := mail.Address{Local: "bob", Domain: "gmail.test"}
	ann := mail.Address{Local: "ann", Domain: "one.example"}
	m := &spool.Message{
		Source: "milter", From: ann, Subject: "held by the milter", Envelope: mail.Envelope{From: ann, To: []mail.Address{bob}},
		Recipients: []spool.Recipient{{Address: bob, State: spool.Held, Reason: spool.Refused, Provider: "google"}},
	}
	if err := s.gateway.store.Take(t.Context(), m, strings.NewReader(letterOf("held by the milter"))); err != nil {
		t.Fatal(err)
	}
	s.publish()
	if a := s.awaitArrival(); a.dkim != "pass" || !strings.Contains(a.content, "\r\nReceived:") {
		t.Errorf("DKIM %s\n%s", a.dkim, a.content)
	}
	s.awaitState("held by the milter", "delivered")
}

// Notices of the quarantine go the same way.
func TestNoticeViaRelay(t *testing.T) {
	s := startRelaySite(t, "")
	to := mail.Address{Local: "post", Domain: "other.test"}
	m := &spool.Message{
		Source: "notice", Received: time.Now(), Envelope: mail.Envelope{To: []mail.Address{to}},
		Recipients: []spool.Recipient{{Address: to, State: spool.Queued}},
	}
	content := strings.NewReader("From: MAILER-DAEMON@mx1.site.test\r\nSubject: digest\r\n\r\nheld: 1\r\n")
	results, err := s.gateway.Inject(t.Context(), m, m.Envelope.To, "token", content)
	if err != nil || len(results) != 1 || results[0].Err != nil || !strings.HasPrefix(results[0].Answer, "queued as ") {
		t.Fatalf("%+v, %v", results, err)
	}
	if a := s.awaitArrival(); a.to[0] != "post@other.test" || strings.Contains(a.content, spool.TokenHeader) {
		t.Errorf("%+v", a)
	}
}
