package relay

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

func TestAuthenticationRefusal(t *testing.T) {
	for _, c := range []struct {
		provider string
		reply    reply
		want     string
	}{
		{"google", reply{550, "5.7.26", "Your email has been blocked because the sender is unauthenticated."}, "gmail-unauthenticated"},
		{"google", reply{550, "5.7.26", "This message does not have authentication information or fails to pass authentication checks"}, "gmail-unauthenticated"},
		{"google", reply{550, "5.7.26", "Unauthenticated email from x is not accepted due to domain's DMARC policy."}, "gmail-dmarc-reject"},
		{"google", reply{550, "5.7.26", "x has an SPF record with a hard fail policy (-all) but it fails"}, "gmail-spf-hardfail"},
		{"google", reply{550, "5.7.27", "SPF did not pass"}, "gmail-bulk-spf"},
		{"google", reply{550, "5.7.30", "DKIM did not pass"}, "gmail-bulk-dkim"},
		{"google", reply{550, "5.7.40", "no DMARC record"}, "gmail-bulk-dmarc"},
		{"google", reply{504, "5.7.40", "Unrecognized Authentication Type"}, ""},
		{"google", reply{550, "5.7.25", "no PTR"}, "gmail-ptr"},
		{"google", reply{550, "5.7.1", "The message does not meet IPv6 sending guidelines regarding PTR records"}, "gmail-ipv6-ptr"},
		{"google", reply{550, "5.7.1", "Our system has detected that this message is likely unsolicited mail"}, ""},
		{"google", reply{451, "4.7.26", "temporary DNS failures prevent authentication"}, ""},
		{"google", reply{421, "4.7.26", "rate limited because it is unauthenticated"}, ""},
		{"google", reply{550, "5.1.1", "no such user"}, ""},
		{"google", reply{550, "5.7.28", "unusual rate"}, ""},
		{"microsoft", reply{550, "5.7.515", "Access denied, sending domain x does not meet the required authentication level"}, "microsoft-bulk-unauthenticated"},
		{"microsoft", reply{550, "5.7.509", "Access denied"}, "microsoft-dmarc-reject"},
		{"microsoft", reply{550, "5.7.23", "Sender Policy Framework violation"}, "microsoft-spf-fail"},
		{"microsoft", reply{550, "5.7.1", "Service unavailable, Client host blocked using Spamhaus"}, ""},
		{"yahoo", reply{554, "5.7.9", "Message not accepted for policy reasons"}, "yahoo-dmarc-reject"},
		{"yahoo", reply{550, "5.7.9", "Yahoo requires all senders to authenticate"}, "yahoo-unauthenticated"},
		{"yahoo", reply{553, "5.7.2", "[TSS09] All messages from 192.0.2.1 will be permanently deferred"}, ""},
		{"apple", reply{554, "5.7.1", "[HME1] This message was blocked for failing both SPF and DKIM authentication checks."}, "apple-unauthenticated"},
		{"apple", reply{554, "5.7.1", "[HME1] rejected due to x's DMARC policy."}, "apple-dmarc-reject"},
		{"apple", reply{554, "5.7.1", "[CS01] Message rejected due to local policy."}, ""},
		{"qq", reply{550, "", "SPF check failed. x"}, "qq-spf"},
		{"qq", reply{450, "", "SPF check failed. x"}, ""},
		{"qq", reply{550, "", "DMARC check failed. x"}, "qq-dmarc"},
		{"other", reply{550, "5.7.26", "multiple authentication checks failed"}, "unauthenticated"},
		{"other", reply{550, "5.7.20", "no passing DKIM signature"}, "dkim-refused"},
		{"other", reply{550, "5.7.23", "SPF"}, "spf-refused"},
		{"other", reply{550, "5.7.1", "relaying denied"}, ""},
		{"other", reply{554, "5.7.9", "whatever"}, ""},
	} {
		if got := authenticationRefusal(c.provider, c.reply); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.provider, c.reply, got, c.want)
		}
	}
}

// Where pre-flight has a rule, it has the same name, and its reply is recognised.
func TestRulesAgreeWithPreflight(t *testing.T) {
	for _, known := range preflight.Refusals() {
		code, rest, _ := strings.Cut(known.Reply, " ")
		if code[0] != '5' {
			continue // temporary: it is tried again
		}
		a := reply{code: 550, text: rest}
		if code == "554" {
			a.code = 554
		}
		if first, text, _ := strings.Cut(rest, " "); strings.HasPrefix(first, "5.") {
			a.enhanced, a.text = first, text
		}
		if got := authenticationRefusal(string(known.Provider), a); got != known.Rule {
			t.Errorf("%s: the reply %q is taken for %q", known.Rule, known.Reply, got)
		}
	}
}

func TestProviderOf(t *testing.T) {
	for host, want := range map[string]string{
		"gmail-smtp-in.l.google.com": "google", "x.mail.protection.outlook.com": "microsoft", "mta5.am0.yahoodns.net": "yahoo",
		"mx01.mail.icloud.com": "apple", "mx1.qq.com": "qq", "mx.notgoogle.com": "known", "": "known",
	} {
		if got := providerOf(host, "known"); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}

const noAuth = "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n550 5.7.26 see the help"

// google is a receiver that refuses as Google does, until told to take.
func (w *world) google() *box {
	b := w.server("gmail.test", "mx.l.google.com", "203.0.113.5", 10, &box{})
	b.answers(starting(map[string]string{".": noAuth}))
	return b
}

func atGoogle(m *spool.Message) {
	for i := range m.Recipients {
		if m.Recipients[i].Address.Domain == "gmail.test" {
			m.Recipients[i].Provider = "google"
		}
	}
}

// A real 5.7.26 is not a bounce, and further mail of that identity isn't sent to be
// refused.
func TestRefusedMailIsHeld(t *testing.T) {
	w := newWorld(t)
	b := w.google()
	other := w.server("other.test", "mx.other.test", "203.0.113.6", 10, &box{})
	m := w.queue(atGoogle, "bob@gmail.test", "carol@gmail.test")
	w.pass()
	w.want(m, spool.Held, "550 5.7.26 Your email")
	r := w.recipients(m)[0]
	if r.Reason != spool.Refused || r.Rule != "gmail-unauthenticated" || !slices.Equal(r.Codes, []string{codeRefused}) || !strings.HasPrefix(r.Reply, "550 5.7.26 Your email has been blocked") {
		t.Errorf("%+v", r)
	}
	log, err := w.store.Log(t.Context(), spool.LogFilter{ID: m.ID, Action: spool.ActionRequeue})
	if err != nil || len(log) != 2 || log[0].Actor != "relay" || !strings.HasPrefix(log[0].Where, "550 5.7.26") {
		t.Errorf("%+v, %v", log, err)
	}
	if len(w.reports()) != 0 {
		t.Error("it was bounced as well")
	}

	next := w.queue(atGoogle, "dave@gmail.test", "erin@other.test")
	w.pass()
	if got := w.recipients(next); got[0].State != spool.Held || got[1].State != spool.Delivered || len(other.got()) != 1 {
		t.Errorf("%+v", got)
	}
	if n, _ := b.count(); n != 1 {
		t.Errorf("%d connections", n)
	}
	foreign := w.queue(func(m *spool.Message) { atGoogle(m); m.Envelope.From = address("x@else.example") }, "bob@gmail.test")
	w.pass()
	w.want(foreign, spool.Held, "550 5.7.26") // tried: another identity
	w.e.parked.closeAll()

	id := IdentityOf(m, &r)
	if got, ok := w.e.Distrusted(t.Context(), id); !ok || got.Rule != "gmail-unauthenticated" || id != (Identity{"example.com", "example.com", "google"}) {
		t.Errorf("%+v: %+v, %v", id, got, ok)
	}
}

func TestPredictions(t *testing.T) {
	w := newWorld(t)
	w.google()
	w.server("other.test", "mx.other.test", "203.0.113.6", 10, &box{})
	w.server("gone.test", "mx.gone.test", "203.0.113.7", 10, &box{answer: starting(map[string]string{"RCPT": "550 5.1.1 no"})})
	for _, c := range []struct{ to, expected string }{
		{"a@gmail.test", "accept"},  // missed
		{"b@gmail.test", "accept"},  // not tried
		{"a@other.test", "refuse"},  // false alarm
		{"a@other.test", "accept"},  // agreed
		{"a@other.test", "unknown"}, // no prediction
		{"a@other.test", ""},
		{"a@gone.test", "accept"}, // about something else
	} {
		w.queue(func(m *spool.Message) { atGoogle(m); m.Recipients[0].Delivery.Expected = c.expected }, c.to)
		w.pass()
	}
	w.e.Trust(t.Context(), Identity{"example.com", "example.com", "google"})
	w.queue(func(m *spool.Message) { atGoogle(m); m.Recipients[0].Delivery.Expected = "refuse" }, "c@gmail.test") // agreed
	w.pass()
	p := w.e.Predictions()
	if p.Agreed != 2 || p.Missed != 1 || p.FalseAlarms != 1 || len(p.Latest) != 2 || p.Since != w.clock() {
		t.Fatalf("%+v", p)
	}
	if d := p.Latest[0]; d.Expected != "refuse" || !strings.HasPrefix(d.Reply, "250") || d.Recipient != address("a@other.test") {
		t.Errorf("%+v", d)
	}
	if d := p.Latest[1]; d.Expected != "accept" || d.Rule != "gmail-unauthenticated" || d.Host != "mx.l.google.com" || d.From.Domain != "example.com" || d.From.Local == "" {
		t.Errorf("%+v", d)
	}
	for range 2 * maxDisagreements {
		w.e.expected.count("missed", &Disagreement{ID: "x"})
	}
	if n := len(w.e.Predictions().Latest); n != maxDisagreements {
		t.Errorf("%d listed", n)
	}
}
