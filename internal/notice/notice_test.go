package notice

import (
	"bytes"
	"flag"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	addr "mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

var update = flag.Bool("update", false, "write the golden files")

func path(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var now = time.Date(2026, 11, 21, 20, 30, 0, 0, time.UTC)

const header = "Received: from client.example.com by mx1.example.com;\r\n\tMon, 16 Nov 2026 20:29:59 +0000\r\n" +
	"From: Ann <ann@example.com>\r\nTo: bob@gmail.com\r\nSubject: Quarterly figures\r\nMessage-ID: <q4@client.example.com>\r\n"

// sound is a report as they mostly are.
func sound(t testing.TB) *Report {
	ann, bob := path(t, "ann@example.com"), path(t, "bob@gmail.com")
	return &Report{
		Kind: Failed, Hostname: "mx1.example.com", To: ann, At: now,
		Message: &spool.Message{
			ID: "q7f3a", Received: now.Add(-5 * 24 * time.Hour), From: ann, Envelope: addr.Envelope{From: ann},
			Subject: "Quarterly figures", MessageID: "<q4@client.example.com>",
		},
		Recipients: []Recipient{{
			Address: bob, Status: "5.7.26", Predicted: true,
			Diagnostic: "550 5.7.26 Your email has been blocked because the sender is unauthenticated. DKIM = did not pass, SPF [example.com] with ip: [203.0.113.9] = did not pass.",
			Why:        "The selector's name has no TXT record on the domain's name servers. Google would answer 550 5.7.26.",
		}},
		Header: []byte(header),
		Findings: []preflight.Finding{
			{Check: preflight.DKIM, Code: "dkim-missing", Name: "mail._domainkey.example.com", Text: "No name server has the key."},
		},
		Records: []Record{
			{At: "Cloudflare", Type: "TXT", Name: "mail._domainkey", Value: "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjAN", 49)},
			{At: "Cloudflare", Type: "TXT", Name: "@", Value: "v=spf1 ip4:203.0.113.9 ~all", Replaces: []string{"v=spf1 ~all"}, Notes: []string{"One record only."}},
		},
	}
}

func reports(t testing.TB) map[string]*Report {
	delayed := sound(t)
	delayed.Kind, delayed.Until = Delayed, now.Add(4*24*time.Hour)
	delayed.Recipients[0].Status = "4.7.0"
	delayed.Recipients = append(delayed.Recipients, Recipient{
		Address: path(t, "cid@other.test"), Status: "4.4.3", Why: "DNS gives no answer about who receives.",
	})

	utf8 := sound(t)
	utf8.To = path(t, "änn@bücher.example")
	utf8.Message.Envelope.From, utf8.Message.From = utf8.To, utf8.To
	utf8.Message.Subject = "Grüße, 你好: " + strings.Repeat("ein langer Betreff mit Umlauten ä ", 4)
	utf8.Recipients[0].Address = path(t, "佐藤+x=y@例え.jp")
	utf8.Header = []byte("From: änn@bücher.example\r\nSubject: Grüße, 你好\r\n")

	raw := sound(t)
	raw.Header = []byte("From: ann@example.com\r\nSubject: Gr\xfc\xdfe\r\n")

	orphan := sound(t)
	orphan.To = path(t, "postmaster@example.com")
	orphan.Message.Envelope.From = addr.Address{}

	real := sound(t) // as a delivery that a server refused
	real.Findings, real.Records = nil, nil
	real.Message.Source = "relay"
	real.Recipients = []Recipient{
		{Address: path(t, "bob@gmail.com"), Status: "5.1.1", Diagnostic: "550 5.1.1 No such user – nobody", RemoteMTA: "gmail-smtp-in.l.google.com", LastAttempt: now.Add(-time.Minute)},
		{Address: path(t, "cid@gmail.com"), Action: Delayed, Status: "4.2.2", Diagnostic: "452 4.2.2 Over quota", RemoteMTA: "gmail-smtp-in.l.google.com", LastAttempt: now.Add(-time.Minute)},
	}

	silent := sound(t) // as mail that DNS says nothing about
	silent.Records = nil
	silent.Findings = []preflight.Finding{
		{Check: preflight.DKIM, Code: "dns-unreachable", Name: "mail._domainkey.example.com", Text: "DNS gives no answer about mail._domainkey.example.com."},
		{Check: preflight.SPF, Code: "dns-unreachable", Name: "example.com", Text: "DNS gives no answer."},
		{Check: preflight.SPF, Code: "dns-unreachable", Name: "example.com", Text: "DNS gives no answer."},
		{Check: preflight.DMARC, Code: "dmarc-missing", Name: "_dmarc.example.com"},
	}

	unreached := sound(t) // as a delivery that came to no server
	unreached.Findings, unreached.Records = nil, nil
	unreached.Recipients = []Recipient{{Address: path(t, "bob@gmail.com"), Status: "4.4.1", Why: "It was tried for 5 days in vain. Connection refused.", LastAttempt: now}}

	relayed := sound(t)
	relayed.Kind, relayed.Message.EnvelopeID = Relayed, "QQ314159"
	relayed.Findings, relayed.Records = nil, nil
	relayed.Recipients = []Recipient{{
		Address: path(t, "bob@gmail.com"), Original: "rfc822;robert@gmail.com", Status: "2.0.0", Diagnostic: "250 2.0.0 OK", RemoteMTA: "mx.other.test", LastAttempt: now,
	}}

	givenUp := sound(t)
	givenUp.Findings, givenUp.Records = nil, nil
	givenUp.Recipients = []Recipient{
		{Address: path(t, "bob@gmail.com"), Status: "5.0.0", ByHand: true, Why: "An administrator of mx1.example.com gave it up, saying: sent twice", Diagnostic: "452 4.2.2 Over quota", RemoteMTA: "mx.gmail.com"},
		{Address: path(t, "cid@other.test"), Status: "5.0.0", ByHand: true, Why: "An administrator of mx1.example.com gave it up, saying: sent twice"},
	}

	byHand := sound(t)
	byHand.Kind, byHand.Until, byHand.Findings, byHand.Records = Delayed, now.Add(24*time.Hour), nil, nil
	byHand.Recipients = []Recipient{{Address: path(t, "bob@gmail.com"), ByHand: true, Status: "4.7.0", Why: "An administrator holds it back."}}

	whole := sound(t)
	whole.Findings, whole.Records, whole.Message.Return = nil, nil, "FULL"
	whole.Recipients = real.Recipients[:1]
	if err := whole.Return(strings.NewReader(header + "\r\nThe figures:\r\n--mailgate\r\n.\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Report{real, unreached, relayed, givenUp, whole} {
		r.Relay = true
	}
	return map[string]*Report{"givenup": givenUp, "byhand": byHand, "whole": whole, "returned": sound(t), "delayed": delayed, "utf8": utf8, "raw": raw, "orphan": orphan, "delivery": real,
		"unreached": unreached, "silent": silent, "relayed": relayed}
}

func TestReports(t *testing.T) {
	for name, r := range reports(t) {
		t.Run(name, func(t *testing.T) {
			got := r.Compose()
			golden(t, name, got)
			checkReport(t, r, got)
		})
	}
}

func TestDigest(t *testing.T) {
	d := &Digest{
		Hostname: "mx1.example.com", To: path(t, "postmaster@example.com"), Since: now.Add(-24 * time.Hour), At: now, Held: 15,
		New: []spool.HoldCount{
			{From: "example.com", Reason: spool.Refused, Codes: []string{"dkim-missing", "spf-missing"}, Recipients: 10, Still: 8, Example: "q7f3a"},
			{From: "example.net", Reason: spool.Waiting, Codes: []string{"dns-unreachable"}, Recipients: 1, Still: 1, Example: "q7f3b"},
			{From: "example.com", Reason: spool.Foreign, Recipients: 1, Example: "q7f3c"},
			{Reason: spool.Foreign, Codes: []string{"from-unusable"}, Recipients: 1, Still: 1, Example: "q7f3d"},
		},
		Records: map[addr.Domain][]Record{"example.com": sound(t).Records},
		Findings: map[addr.Domain][]preflight.Finding{"example.com": {
			{Code: "spf-missing", Name: "mx1.example.com", Text: "mx1.example.com has no SPF record."},
			{Code: "spf-softfail", Name: "example.com", Text: "Not told: nothing is held for it."},
		}},
	}
	got := d.Compose()
	golden(t, "digest", got)
	checkLines(t, got)
	m, err := mail.ReadMessage(bytes.NewReader(got))
	if err != nil || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("To") != "<postmaster@example.com>" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestDigestIsShort(t *testing.T) {
	d := &Digest{Hostname: "mx1.example.com", To: path(t, "postmaster@example.com"), Since: now, At: now}
	for i := range 500 {
		d.New = append(d.New, spool.HoldCount{From: addr.Domain(strings.Repeat("a", i%60+1) + strings.Repeat("b", i/60) + ".example"), Recipients: 1, Reason: spool.Refused, Codes: []string{"dkim-missing"}})
	}
	if got := d.Compose(); len(got) > 16<<10 || !strings.Contains(string(got), "And 480 more domains") {
		t.Errorf("%d bytes", len(got))
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".eml")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not as in %s (-update writes it anew):\n%s", file, got)
	}
}

// The status part is for programs: each field as it should be.
func TestStatus(t *testing.T) {
	all := reports(t)
	for name, want := range map[string][]string{
		"returned": {"Reporting-MTA: dns; mx1.example.com\r\n", "X-Mailgate-ID: q7f3a\r\n", "Arrival-Date: Mon, 16 Nov 2026 20:30:00 +0000\r\n",
			"\r\n\r\nFinal-Recipient: rfc822; bob@gmail.com\r\nAction: failed\r\nStatus: 5.7.26\r\nDiagnostic-Code: x-mailgate; nothing was sent; predicted reply: 550 5.7.26\r\n Your email"},
		"delayed": {"Action: delayed\r\nStatus: 4.7.0\r\n", "Will-Retry-Until: Wed, 25 Nov 2026 20:30:00 +0000\r\n\r\nFinal-Recipient: rfc822; cid@other.test\r\nAction: delayed\r\nStatus: 4.4.3\r\nWill-Retry-Until: "},
		"utf8":    {`Final-Recipient: utf-8; \x{4F50}\x{85E4}\x{2B}x\x{3D}y@xn--r8jz45g.jp` + "\r\n"},
		"delivery": {"Status: 5.1.1\r\nRemote-MTA: dns; gmail-smtp-in.l.google.com\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user ? nobody\r\nLast-Attempt-Date: Sat, 21 Nov 2026 20:29:00 +0000\r\n",
			"cid@gmail.com\r\nAction: delayed\r\nStatus: 4.2.2\r\n"},
		"givenup": {"bob@gmail.com\r\nAction: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: x-mailgate; An administrator of mx1.example.com gave it up,\r\n saying: sent twice\r\n\r\n"},
		"relayed": {"Original-Envelope-Id: QQ314159\r\nReporting-MTA:", "Original-Recipient: rfc822;robert@gmail.com\r\nFinal-Recipient: rfc822; bob@gmail.com\r\nAction: relayed\r\nStatus: 2.0.0\r\n"},
	} {
		got := string(all[name].status())
		for _, field := range want {
			if !strings.Contains(got, field) {
				t.Errorf("%s lacks %q:\n%s", name, field, got)
			}
		}
		if strings.Contains(got, "Will-Retry-Until") != (all[name].Kind == Delayed) {
			t.Errorf("%s: Will-Retry-Until\n%s", name, got)
		}
	}
}

// A status that is none is replaced by one of its class that says nothing more.
func TestStatusCode(t *testing.T) {
	for _, test := range []struct {
		status string
		action Kind
		want   string
	}{
		{"5.7.26", Failed, "5.7.26"}, {"4.4.7", Failed, "4.4.7"}, {"4.7.0", Delayed, "4.7.0"},
		{"", Failed, "5.0.0"}, {"", Delayed, "4.0.0"}, {"5.7.1", Delayed, "4.0.0"}, {"5.7", Failed, "5.0.0"}, {"550 5.7.1", Failed, "5.0.0"},
		{"5.7.1234", Failed, "5.0.0"}, {"5..1", Failed, "5.0.0"}, {"2.0.0", Failed, "5.0.0"}, {"", Relayed, "2.0.0"}, {"5.1.1", Relayed, "2.0.0"}, {"5.7.-1", Failed, "5.0.0"},
	} {
		if got := statusCode(test.status, test.action); got != test.want {
			t.Errorf("%q of one %s: %s, want %s", test.status, test.action, got, test.want)
		}
	}
}

// A prediction is never passed off as what a server said.
func TestPredictionIsCalledOne(t *testing.T) {
	for name, r := range reports(t) {
		text, status := r.text(), string(r.status())
		if name == "delivery" || name == "whole" {
			if !strings.Contains(text, "gmail-smtp-in.l.google.com answered:") {
				t.Errorf("%s:\n%s", name, text)
			}
			continue
		}
		if !r.Recipients[0].Predicted {
			if strings.Contains(text+status, "predict") || strings.Contains(text, "Nothing was sent") {
				t.Errorf("%s:\n%s\n%s", name, text, status)
			}
			continue
		}
		if strings.Contains(status, "smtp;") || !strings.Contains(text, "prediction") || !strings.Contains(text, "Nothing was sent") {
			t.Errorf("%s:\n%s\n%s", name, text, status)
		}
	}
}

func TestHeaderPart(t *testing.T) {
	long := "X-Long: " + strings.Repeat("a", 1000) + "\r\n"
	for name, test := range map[string]struct{ header, kind, encoding string }{
		"plain":         {header, "text/rfc822-headers", ""},
		"empty":         {"", "text/rfc822-headers", ""},
		"UTF-8":         {"Subject: ü\r\n", "message/global-headers", "quoted-printable"},
		"Latin 1":       {"Subject: \xfc\r\n", "text/rfc822-headers", "quoted-printable"},
		"long line":     {long, "text/rfc822-headers", "quoted-printable"},
		"bare CR":       {"Subject: a\rb\r\n", "text/rfc822-headers", "quoted-printable"},
		"bare LF":       {"Subject: a\n", "text/rfc822-headers", "quoted-printable"},
		"NUL":           {"Subject: a\x00\r\n", "text/rfc822-headers", "quoted-printable"},
		"without a end": {"Subject: a", "text/rfc822-headers", ""},
	} {
		if p := headerPart([]byte(test.header)); p.kind != test.kind || p.encoding != test.encoding {
			t.Errorf("%s: %s, %q", name, p.kind, p.encoding)
		}
	}
}

func TestHeaderIsBounded(t *testing.T) {
	fields := strings.Repeat("X-Field: first\r\n\tsecond\r\n", 4000)
	p := headerPart([]byte(fields))
	if len(p.body) > MaxHeader || len(p.body) < MaxHeader-100 || !strings.HasSuffix(string(p.body), "\r\n\tsecond\r\n") {
		t.Errorf("%d bytes, ending %q", len(p.body), p.body[len(p.body)-30:])
	}
	if p := headerPart([]byte("X: " + strings.Repeat("a b\r\n ", 20000))); len(p.body) > MaxHeader+2 {
		t.Errorf("one field: %d bytes", len(p.body))
	}
}

func TestOneLine(t *testing.T) {
	for s, want := range map[string]string{
		"a\r\nBcc: x": "a Bcc: x", "a\x00\x1b[2Jb": "a[2Jb", "\u202ea\u2066b": "ab", "a\u2028b\tc": "a b c", "\xff": "\ufffd",
		"  ": "", "12345678ü": "12345678…", "123456789": "123456789",
	} {
		if got := oneLine(s, 9); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := ascii("ü\x7f~\r\nx"); got != "?~ x" {
		t.Errorf("%q", got)
	}
}

func TestMessageIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"<a@b>": true, "<a.b$c@[192.0.2.1]>": true,
		"": false, "a@b": false, "<a>": false, "<a@b> <c@d>": false, "<a@b\r\nBcc: x@y>": false, "<a b@c>": false,
		"<a@b@c>": false, "<ü@b>": false, "<<a@b>>": false, "<a@>": false, "<" + strings.Repeat("a", 900) + "@b>": false,
	} {
		if got := isMessageID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
	r := sound(t)
	r.Message.MessageID = "<a@b>\r\nBcc: eve@example.net"
	if got := string(r.Compose()); strings.Contains(got, "\r\nBcc:") || strings.Contains(got, "In-Reply-To") {
		t.Errorf("%s", got)
	}
}
