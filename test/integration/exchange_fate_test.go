//go:build integration

package integration

import (
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"
)

// A part with a CR or LF alone isn't SMTP without BINARYMIME: it is refused with the
// reason, and nothing of it is sent.
func (w *exchangeWorld) binary(t *testing.T) {
	x := dialExchangeTLS(t, w.legacy)
	answer := x.submit(submission{from: "ann@good.test", to: []string{"bob@domain1.test"}, message: outlook("ann@good.test", "binary", "binary")})
	if !strings.HasPrefix(answer, "550 5.6.11 ") {
		t.Errorf("answer %q", answer)
	}
	if n := len(w.hop.about("Subject: binary")); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// What a receiver refuses comes back as a report that Exchange can tell its own
// message by, and that is signed too.
func (w *exchangeWorld) report(t *testing.T) {
	w.hop.refuse("gone@domain1.test", "550 5.1.1 no such user here")
	w.hop.refuse("quiet@domain1.test", "550 5.1.1 no such user here")
	x := dialExchangeTLS(t, w.legacy)
	message := outlook("ann@good.test", "to be returned", "base64")
	for _, s := range []submission{
		{to: []string{"quiet@domain1.test"}, parameter: "NOTIFY=NEVER"},
		{to: []string{"gone@domain1.test", "there@domain1.test"}},
	} {
		s.from, s.message = "ann@good.test", message
		if answer := x.submit(s); !strings.HasPrefix(answer, "250") {
			t.Fatal(answer)
		}
	}
	if there := w.hop.wait(t, "Subject: to be returned", 2); !slices.Equal(there[0].to(), []string{"there@domain1.test"}) {
		t.Errorf("delivered to %v", there[0].to())
	}
	m := w.hop.wait(t, "multipart/report", 1)[0]
	if !strings.HasPrefix(m.mail+" ", "MAIL FROM:<> ") || !slices.Equal(m.to(), []string{"ann@good.test"}) {
		t.Errorf("%q, %q", m.mail, m.rcpts)
	}
	d := readDSN(t, m.raw)
	if d.Type != "multipart/report" || d.Report != "delivery-status" || len(d.Defects) > 0 || len(d.Recipients) != 1 {
		t.Fatalf("%+v", d)
	}
	for field, want := range map[string]string{
		"Final-Recipient": "rfc822; gone@domain1.test", "Original-Recipient": "rfc822;gone@domain1.test",
		"Action": "failed", "Status": "5.1.1", "Diagnostic-Code": "smtp; 550 5.1.1 no such user here",
	} {
		if got := d.Recipients[0][field]; got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if d.Message["Original-Envelope-Id"] != envelopeID || d.Message["Reporting-MTA"] != "dns; mx1.gate.test" || d.Original["Subject"] != "to be returned" {
		t.Errorf("of the message: %v; original header: %v", d.Message, d.Original)
	}
	for _, s := range verify(t, w.dns.resolver, m.raw) {
		if !s.OK || s.Domain != "mx1.gate.test" {
			t.Errorf("signature %+v", s)
		}
	}
	if n := len(w.hop.about("multipart/report")); n != 1 {
		t.Errorf("%d reports, want 1", n)
	}
}

// A connector with BasicAuthRequireTLS logs in with AUTH LOGIN, and may write as
// its own domain only.
func (w *exchangeWorld) login(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	x := dialExchange(t, w.legacy)
	if _, ok := x.offer["AUTH"]; ok {
		t.Errorf("logins are offered without TLS")
	}
	if _, err := x.startTLS(oldTLS()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(x.offer["AUTH"]), "LOGIN") {
		t.Fatalf("no AUTH LOGIN in %v", x.offer)
	}
	x.say("AUTH LOGIN", "334 VXNlcm5hbWU6")
	x.say(b64([]byte("exchange")), "334 UGFzc3dvcmQ6")
	x.say(b64([]byte("secret")), "235")
	if answer := x.submit(submission{from: "eve@nospf.test", to: []string{"bob@domain1.test"}, message: outlook("eve@nospf.test", "logged in", "base64")}); !strings.HasPrefix(answer, "550 5.7.1 ") {
		t.Errorf("as another domain: %q", answer)
	}
	message := outlook("ann@good.test", "logged in", "base64")
	if answer := x.submit(submission{from: "ann@good.test", to: []string{"bob@domain1.test"}, message: message}); !strings.HasPrefix(answer, "250") {
		t.Fatal(answer)
	}
	w.wantSigned(t, "good.test", w.hop.wait(t, "Subject: logged in", 1)[0], message)
}

// Incident 2: no SPF record lists the addresses that mail leaves from, IPv4 or IPv6.
// Gmail's recipients are held, the others get theirs; when both addresses are listed,
// it leaves by itself, once.
func (w *exchangeWorld) noSPF(t *testing.T) {
	gmail := []string{"bob@gmail.com", "cid@gmail.com"}
	others := []string{"dan@domain1.test", "eve@domain2.test"}
	x := dialExchangeTLS(t, w.legacy)
	message := outlook("ann@nospf.test", "no SPF", "8bit")
	if answer := x.submit(submission{from: "ann@nospf.test", to: append(others, gmail...), message: message, chunk: 4096}); !strings.HasPrefix(answer, "250 2.0.0 taken as ") {
		t.Fatal(answer)
	}
	for _, m := range w.hop.wait(t, "Subject: no SPF", len(others)) {
		if len(m.rcpts) != 1 || !slices.Contains(others, m.to()[0]) {
			t.Errorf("left at once for %v", m.to())
		}
		wantOriginal(t, receipt{raw: m.raw}, message, 2)
	}
	w.gate.wantHeld(t, gmail, "refused", "spf-missing")
	out, exit := w.gate.verdict(t, "check", "nospf.test", "--to", "gmail.com")
	if exit != 1 {
		t.Errorf("check: exit %d, want 1", exit)
	}
	wantMentioned(t, out, "spf-missing", "ip4:"+egress4, "ip6:"+egress6)

	w.dns.publish(t, "nospf.test", "@ MX 10 mx1.gate.test.", txt("@", "v=spf1 ip4:"+egress4+" ~all"))
	eventually(t, "only the IPv6 address to be missing", func() bool {
		out, _ = w.gate.run(t, "check", "nospf.test", "--to", "gmail.com")
		return strings.Contains(out, "spf-ipv6-missing")
	})
	w.gate.onlyHeld(t)
	w.dns.publish(t, "nospf.test", "@ MX 10 mx1.gate.test.", bothEgress())
	all := w.hop.wait(t, "Subject: no SPF", len(others)+len(gmail))
	last := all[len(all)-1]
	if got := slices.Sorted(slices.Values(last.to())); len(all) != len(others)+1 || !slices.Equal(got, gmail) {
		t.Errorf("%d transactions, the last one for %v", len(all), got)
	}
	wantOriginal(t, receipt{raw: last.raw}, message, 2)
	w.gate.noneHeld(t)
	if log, err := os.ReadFile(w.gate.log); err != nil || strings.Contains(string(log), "panic") {
		t.Errorf("log: %v\n%s", err, log)
	}
}
