package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"mailgate/internal/web"
)

// Key only in the panel: the copy for Gmail is held, the other leaves at once; once
// the key is published the held one leaves by itself, signed, and verifies.
func TestRelayHoldsAndDelivers(t *testing.T) {
	s := startRelaySite(t, "")
	s.mustSend("first", "bob@gmail.test", "carol@other.test")
	other := s.awaitArrival()
	if len(other.to) != 1 || other.to[0] != "carol@other.test" || !strings.HasPrefix(other.content, "DKIM-Signature:") {
		t.Errorf("for the other receiver: %+v", other)
	}
	bob := s.message("first").Recipients[0]
	if bob.State != "held" || bob.Rule != "gmail-unauthenticated" {
		t.Errorf("bob: %+v", bob)
	}
	s.publish()
	a := s.awaitArrival()
	if len(a.to) != 1 || a.to[0] != "bob@gmail.test" || a.dkim != "pass" {
		t.Errorf("after mending: to %v, DKIM %s\n%s", a.to, a.dkim, a.content)
	}
	if n := strings.Count(a.content, "\r\nReceived:"); n != 1 || !strings.Contains(a.content, "Message-ID:") ||
		!strings.HasSuffix(a.content, "How are you?\r\n.\r\n") {
		t.Errorf("%d Received fields:\n%s", n, a.content)
	}
	s.awaitState("first", "delivered")
}

// A receiver that refuses as not authenticated what was predicted to pass: held with
// its words, further mail of that sender too, until a reviewer says otherwise.
func TestRelayHoldsRealRefusals(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	const words = "This mail is unauthenticated, which poses a security risk"
	s.receiver.answer(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: words})
	s.mustSend("refused", "bob@gmail.test")
	bob := s.awaitState("refused", "held")
	if !strings.Contains(bob.Reply, words) || bob.Rule != "gmail-unauthenticated" || len(bob.Codes) != 1 || bob.Codes[0] != "receiver-refused" {
		t.Errorf("held with %+v", bob)
	}
	s.mustSend("second", "bob@gmail.test")
	s.awaitState("second", "held")
	if n := s.receiver.times(); n != 1 {
		t.Errorf("the receiver was asked %d times, want once", n)
	}

	release := func(anyway bool) error {
		review := web.Review{Reason: "Gmail says it is mended", Anyway: anyway}
		return s.post(t.Context(), "/v1/quarantine/"+s.message("refused").ID+"/release", review, &struct{}{})
	}
	var no *refusal
	if err := release(false); !errors.As(err, &no) || no.problem.Kind != web.KindRefused {
		t.Errorf("released: %v", err)
	}
	s.receiver.answer(nil)
	if err := release(true); err != nil {
		t.Fatal(err)
	}
	if a := s.awaitArrival(); a.dkim != "pass" {
		t.Errorf("DKIM %s", a.dkim)
	}
	s.awaitState("refused", "delivered")
	s.awaitArrival() // the second, by the re-check
	s.awaitState("second", "delivered")
	if p := s.gateway.engine.Predictions(); p.Missed != 1 || p.Latest[len(p.Latest)-1].Reply == "" {
		t.Errorf("predictions: %+v", p)
	}
}

// A restart doesn't make it try again: what is mended in DNS does.
func TestRelayRemembersRefusals(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	s.receiver.answer(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: "unauthenticated"})
	s.mustSend("refused", "bob@gmail.test")
	s.awaitState("refused", "held")
	s.receiver.answer(nil)
	s.stopGateway()
	s.startGateway()
	s.mustSend("after", "bob@gmail.test")
	s.awaitState("after", "held")
	if n := s.receiver.times(); n != 1 {
		t.Errorf("the receiver was asked %d times, want once", n)
	}
	if err := s.dns.SetZone("one.example", "@ NS ada.ns.cloudflare.com.\n@ MX 10 mx\nmx A 127.0.0.1\n@ TXT \"v=spf1 ip4:127.0.0.1 ~all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"); err != nil {
		t.Fatal(err)
	}
	s.publish()
	s.awaitState("refused", "delivered")
	s.awaitState("after", "delivered")
}

// With a next hop, DNS isn't asked for MX hosts; a route is stronger.
func TestRelayNextHop(t *testing.T) {
	s := startRelaySite(t, "next_hop = \"RECEIVER\"\n[[route]]\ndestination = \"nowhere.test\"\nvia = \"127.0.0.1:1\"\n")
	s.publish()
	s.mustSend("hop", "bob@nomail.test")
	if a := s.awaitArrival(); a.to[0] != "bob@nomail.test" || a.dkim != "pass" {
		t.Errorf("%+v", a)
	}
	s.mustSend("route", "bob@nowhere.test")
	if r := s.awaitState("route", "queued"); r.State != "queued" {
		t.Errorf("%+v", r)
	}
}

// Null MX: returned to the sender by a report, which is signed if it can be and goes
// the same way.
func TestRelayReturns(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	s.mustSend("lost", "bob@nomail.test")
	report := s.awaitArrival()
	if report.to[0] != "ann@one.example" || !strings.Contains(report.content, "Status: 5.1.10") {
		t.Errorf("%+v", report)
	}
	s.awaitState("lost", "bounced")
}

// Who isn't trusted can't relay.
func TestRelayRefusesStrangers(t *testing.T) {
	s := startRelaySite(t, "trusted = [\"192.0.2.0/24\"]\n")
	err := s.send("spam", "bob@gmail.test")
	if refused, ok := errors.AsType[*smtp.SMTPError](err); !ok || refused.Code/100 != 5 {
		t.Errorf("a stranger relayed: %v", err)
	}
	// A reload lets him in.
	s.reconfigure("192.0.2.0/24", "127.0.0.0/8")
	s.mustSend("welcome", "carol@other.test")
	s.awaitArrival()
}
