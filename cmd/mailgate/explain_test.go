package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"mailgate/internal/dnstest"
)

// refusedByGmail is a log line of Postfix, about the place's domain and address.
const refusedByGmail = "Nov 22 02:49:21 mx1 postfix/smtp[4711]: 4F2A1B0C3D: to=<bob@gmail.com>, relay=gmail-smtp-in.l.google.com[142.250.1.27]:25, " +
	"delay=1.3, delays=0.02/0.01/0.6/0.67, dsn=5.7.26, status=bounced (host gmail-smtp-in.l.google.com[142.250.1.27] said: " +
	"550-5.7.26 Your email has been blocked because the sender is unauthenticated. 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. " +
	"550-5.7.26  Authentication results: 550-5.7.26  DKIM = did not pass 550-5.7.26  SPF [example.com] with ip: [203.0.113.9] = did not pass " +
	"550 5.7.26  https://support.google.com/mail/answer/81126#authentication x1si1.2 - gsmtp (in reply to end of DATA command))"

func wantAll(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A bounce of last week is compared with what DNS has now: the key that only the
// panel's server has, then all as it should be.
func TestExplainNow(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.panel)
	code, out := p.mailgate(t, "explain", refusedByGmail)
	wantAll(t, out, "Now:  still refused (prediction, rule gmail-unauthenticated)", "✗ DKIM mail: dkim-only-on-local-dns", "SPF 203.0.113.9: spf-softfail",
		"Next: mailgate check example.com --ip 203.0.113.9")
	if code != exitPass {
		t.Errorf("exit %d", code)
	}

	p = newPlace(t)
	p.publish(t, p.dns)
	p.dns.Remove("example.com", "TXT")
	if err := p.dns.AddTXT("example.com", "v=spf1 ip4:203.0.113.9 -all"); err != nil {
		t.Fatal(err)
	}
	_, out = p.mailgate(t, "explain", refusedByGmail)
	wantAll(t, out, "Now:  everything passes: the message would be taken (prediction). Send it again.")
	if strings.Contains(out, "Do:") || strings.Contains(out, "to be mended") {
		t.Errorf("something is to be done where all passes\n%s", out)
	}
	_, out = p.mailgate(t, "explain", "--no-dns", refusedByGmail)
	if strings.Contains(out, "Now:") {
		t.Errorf("DNS was asked in spite of --no-dns\n%s", out)
	}
}

// Silent DNS gives no verdict, neither way, and the bounce is explained all the same.
func TestExplainWithoutDNS(t *testing.T) {
	p := newPlace(t)
	p.dns.Fault("", dnstest.ServFail)
	code, out := p.mailgate(t, "explain", refusedByGmail)
	wantAll(t, out, "Gmail 550 5.7.26: Neither a valid DKIM signature nor an SPF pass.", "Now:  what Gmail would say can't be told: DNS gives no answer.")
	if strings.Count(out, "dns-unreachable") != 1 {
		t.Errorf("DNS keeps silent in more than one line\n%s", out)
	}
	if code != exitPass || strings.Contains(out, "✗") || strings.Contains(out, "Send it again") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// A domain without configured keys: DKIM stays open, and nothing is promised of it.
func TestExplainForeignDomain(t *testing.T) {
	p := newPlace(t)
	if err := p.dns.SetZone("other.example", "@ TXT \"v=spf1 ip4:203.0.113.9 -all\"\n"); err != nil {
		t.Fatal(err)
	}
	_, out := p.mailgate(t, "explain", strings.ReplaceAll(refusedByGmail, "SPF [example.com]", "SPF [other.example]"))
	wantAll(t, out, "Gmail would take it (prediction); DKIM was not looked at")
	_, out = p.mailgate(t, "explain", "--selector", "s1", strings.ReplaceAll(refusedByGmail, "SPF [example.com]", "SPF [other.example]"))
	wantAll(t, out, "DKIM s1: dkim-missing", "--selector s1")
	if code, _ := p.mailgate(t, "explain", "--selector", "s 1", refusedByGmail); code != exitUsage {
		t.Errorf("a selector that is none: exit %d", code)
	}
	_, out = p.mailgate(t, "explain", strings.ReplaceAll(strings.ReplaceAll(refusedByGmail, "SPF [example.com]", "SPF [other.example]"), "203.0.113.9", "203.0.113.10"))
	wantAll(t, out, "what Gmail would say can't be told", "spf-fail")
}

func TestExplainJSON(t *testing.T) {
	p := newPlace(t)
	code, out := p.mailgate(t, "explain", "--format", "json", refusedByGmail)
	var all struct {
		Readings []struct {
			Format, Event, Recipient, Domain, Provider, Next string
			Our_IP                                           string
			Count                                            int
			Reply                                            struct {
				Code     int
				Enhanced string
			}
			Meaning struct {
				Rule, Kind, Fault, Source string
				Not                       []string
			}
			Now struct {
				Verdict    string
				Prediction struct{ Rule string }
				Findings   []struct{ Code string }
			}
		}
		Input struct{ Lines int }
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all.Readings) != 1 || all.Input.Lines != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	r := all.Readings[0]
	switch {
	case code != exitPass, r.Format != "postfix", r.Event != "failed", r.Recipient != "bob@gmail.com", r.Domain != "example.com", r.Our_IP != "203.0.113.9",
		r.Provider != "google", r.Count != 1, r.Reply.Code != 550, r.Reply.Enhanced != "5.7.26", r.Meaning.Rule != "gmail-unauthenticated",
		r.Meaning.Kind != "authentication", r.Meaning.Fault != "sender-dns", r.Meaning.Source == "", len(r.Meaning.Not) != 3,
		r.Now.Verdict != "refuse", r.Now.Prediction.Rule != "gmail-unauthenticated", len(r.Now.Findings) < 2, !strings.HasPrefix(r.Next, "mailgate check example.com"):
		t.Errorf("exit %d, %+v", code, r)
	}
}

// What is to be typed next holds nothing that a shell would take for something else,
// whatever stands in the input.
func TestExplainNextIsSafe(t *testing.T) {
	for _, text := range []string{
		"Final-Recipient: rfc822; a@b$(reboot).example\nAction: failed\nStatus: 5.7.26\nDiagnostic-Code: smtp; 550 5.7.26 Unauthenticated email from `id`.example.com is not accepted due to domain's DMARC policy - gsmtp",
		"id=$(id) from=<a@x;y.example> to=<b@gmail.com> verdict=hold rule=gmail-unauthenticated domain=x|y.example",
		"status=bounced (host mx.partner.example[192.0.2.5] said: 550 5.7.26 SPF [x'y.example] with ip: [203.0.113.9;id] - gsmtp (in reply to end of DATA command))",
	} {
		_, out := (&place{config: "none"}).explainText(t, text)
		for _, l := range strings.Split(out, "\n") {
			if next, ok := strings.CutPrefix(l, "Next: "); ok && strings.ContainsAny(next, "$`;|&<>()'\"\\*?") {
				t.Errorf("%s", l)
			}
		}
	}
}

func (p *place) explainText(t *testing.T, text string) (int, string) {
	t.Helper()
	var out strings.Builder
	code := run(&app{}, []string{"explain", "--no-dns", "-"}, strings.NewReader(text), &out, io.Discard)
	return code, out.String()
}

// Of thousands of kinds the most frequent are shown, and how many are left out.
func TestExplainManyKinds(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		line := strings.ReplaceAll("Nov 22 02:49:21 mx1 postfix/smtp[1]: 4F2A1B0C3D: to=<bobX@partner.example>, relay=mx.partner.example[192.0.2.5]:25, delay=1, dsn=5.1.1, status=bounced (host mx.partner.example[192.0.2.5] said: 550 5.1.1 no such user (in reply to RCPT TO command))\n", "X", string(rune('a'+i%26))+string(rune('a'+i/26)))
		b.WriteString(line)
		if i == 39 {
			b.WriteString(line)
		}
	}
	code, out := (&place{}).explainText(t, b.String())
	if code != exitPass || !strings.HasPrefix(out, "2 × ") || strings.Count(out, "Rule: user-unknown") != maxShown || !strings.Contains(out, "10 kinds more") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// Ctrl-C ends it, also while nothing comes in.
func TestExplainInterrupted(t *testing.T) {
	for _, come := range []string{"", strings.Repeat("Nov 22 02:49:23 mx1 CRON[99]: (root) CMD (true)\n", 500)} {
		in, to := io.Pipe()
		defer to.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _ = io.WriteString(to, come)
			cancel()
		}()
		root := newRoot(&app{})
		root.SetArgs([]string{"explain", "-"})
		root.SetIn(in)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.ExecuteContext(ctx); err == nil || exitCode(err) != exitInterrupted {
			t.Errorf("%d bytes: %v", len(come), err)
		}
	}
}

// Only so many domains are looked at, each once; what our own server refused, and what
// DNS has no part in, isn't.
func TestExplainLooksAtFew(t *testing.T) {
	p := newPlace(t)
	var b strings.Builder
	for _, d := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		b.WriteString(strings.ReplaceAll(refusedByGmail, "SPF [example.com]", "SPF ["+d+".example]") + "\n")
	}
	b.WriteString("Nov 22 02:49:21 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[198.51.100.77]: 550 5.7.23 <x@example.com>: Recipient address rejected: SPF fail; from=<y@h.example> to=<x@example.com> proto=ESMTP helo=<h>\n")
	b.WriteString("\n550 5.1.1 <x@partner.example>: User unknown\n")
	_, out := p.mailgate(t, "explain", b.String())
	if n := strings.Count(out, "Now:"); n != maxChecked || strings.Count(out, "Rule: ") != 9 {
		t.Errorf("%d looked at\n%s", n, out)
	}
}
