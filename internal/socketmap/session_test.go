package socketmap

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"mailgate/internal/tlspolicy"
)

// rcpt is a request of Postfix at RCPT time, with what is changed or added.
func rcpt(lines ...string) string {
	return "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=client.example\n" +
		"queue_id=\nsender=ann@example.net\nrecipient_count=0\nclient_address=192.0.2.7\nclient_name=unknown\n" +
		"sasl_username=ann\nsize=12\nccert_subject=\n" + strings.Join(lines, "\n") + "\n\n"
}

func TestSocketmap(t *testing.T) {
	for _, c := range []struct{ request, answer string }{
		{"mailgate example.net", "OK encrypt protocols=>=TLSv1.2"},
		{"mailgate EXAMPLE.NET", "OK encrypt protocols=>=TLSv1.2"},
		{"mailgate [mx.example.net]:587", "OK verify protocols=>=TLSv1.2"},
		{"mailgate [192.0.2.1]", "OK none"},
		{"mailgate bücher.example", "OK dane-only protocols=>=TLSv1.2"},
		{"mailgate other.example", "NOTFOUND "},
		{"mailgate .example.net", "NOTFOUND "},
		{"mailgate .net", "NOTFOUND "},
		{"mailgate ", "NOTFOUND "},
		{"mailgate", "NOTFOUND "},
		{"mailgate unix:/run/lmtp", "NOTFOUND "},
		{"mailgate [mx.example.net", "NOTFOUND "},
		{"mailgate two words", "NOTFOUND "},
		{"mailgate \x00\xff", "NOTFOUND "},
		{"mailgate " + strings.Repeat("x", 10_000), "NOTFOUND "},
		{"QUERYwithTLSRPT example.net", "OK encrypt protocols=>=TLSv1.2"},
		{"mailgate fault.example", "NOTFOUND "},
		{"mailgate panic.example", "NOTFOUND "},
		{"mailgate unsettled.example", "TEMP TLSA of mx.unsettled.example:?no answer: " + tlspolicy.ErrUnsettled.Error()},
		{"Mailgate example.net", "PERM unknown map Mailgate: want mailgate or preflight"},
		{"", "PERM unknown map : want mailgate or preflight"},
		{"a\nb x", "PERM unknown map a?b: want mailgate or preflight"},
		{strings.Repeat("m", 10_000), "PERM unknown map " + strings.Repeat("m", 40) + ": want mailgate or preflight"},

		{"preflight ann@example.net bob@gmail.com", "NOTFOUND "},
		{"preflight ann@example.net refuse@gmail.com", "OK 550 5.7.26 Gmail would refuse this: no SPF, no DKIM"},
		{"preflight <> refuse@gmail.com", "OK 550 5.7.26 Gmail would refuse this: no SPF, no DKIM"},
		{"preflight  defer@gmail.com", "OK DEFER_IF_PERMIT 4.7.26 DNS is silent"},
		{"preflight ann@example.net fault@gmail.com", "NOTFOUND "},
		{"preflight ann@example.net panic@gmail.com", "NOTFOUND "},
		{"preflight ann@example.net wait@gmail.com", "NOTFOUND "},
		{"preflight ann@example.net", "NOTFOUND "},
		{"preflight", "NOTFOUND "},
	} {
		run(t, func(c *Config) { c.Limits.Advice = time.Second / 2 }, func(r *rig) {
			r.come().ask(ns(c.request), ns(c.answer))
		})
	}
}

func TestDelegation(t *testing.T) {
	const refused = "action=550 5.7.26 Gmail would refuse this: no SPF, no DKIM\n\n"
	for _, c := range []struct{ request, answer string }{
		{rcpt("recipient=bob@gmail.com"), "action=DUNNO\n\n"},
		{rcpt("recipient=refuse@gmail.com"), refused},
		{rcpt("recipient=defer@gmail.com"), "action=DEFER_IF_PERMIT 4.7.26 DNS is silent\n\n"},
		{rcpt("recipient=fault@gmail.com"), "action=DUNNO\n\n"},
		{rcpt("recipient=panic@gmail.com"), "action=DUNNO\n\n"},
		{rcpt("recipient=wait@gmail.com"), "action=DUNNO\n\n"},
		{rcpt("recipient="), "action=DUNNO\n\n"},
		{rcpt("recipient=refuse@gmail.com", "protocol_state=DATA"), "action=DUNNO\n\n"},
		{rcpt("recipient=refuse@gmail.com", "request=junk"), "action=DUNNO\n\n"},
		{rcpt("recipient=bob@gmail.com", "recipient=refuse@gmail.com"), refused},
		{rcpt("recipient=refuse@gmail.com", "new_in_postfix_9=a=b"), refused},
		{"junk=\n\n", "action=DUNNO\n\n"},
		{"Request=smtpd_access_policy\n\n", "action=DUNNO\n\n"},
	} {
		run(t, func(c *Config) { c.Limits.Advice = time.Second / 2 }, func(r *rig) {
			r.come().ask(c.request, c.answer)
		})
	}
}

// Requests may come in any pieces, and several at once.
func TestPieces(t *testing.T) {
	for name, c := range map[string]struct{ requests, answers []string }{
		"socketmap": {
			[]string{ns("mailgate example.net"), ns(""), ns("mailgate other.example")},
			[]string{ns("OK encrypt protocols=>=TLSv1.2"), ns("PERM unknown map : want mailgate or preflight"), ns("NOTFOUND ")},
		},
		"delegation": {
			[]string{rcpt("recipient=refuse@gmail.com"), rcpt("recipient=bob@gmail.com")},
			[]string{"action=550 5.7.26 Gmail would refuse this: no SPF, no DKIM\n\n", "action=DUNNO\n\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all, answers := strings.Join(c.requests, ""), strings.Join(c.answers, "")
			run(t, nil, func(r *rig) {
				r.come().ask(all, answers)
				client := r.come()
				for i, request := range c.requests {
					client.ask(request, c.answers[i])
				}
				first := len(c.requests[0])
				for cut := 1; cut < len(all); cut++ {
					client := r.come()
					if err := client.send(all[:cut]); err != nil {
						t.Fatal(err)
					}
					rest := answers
					if cut >= first {
						client.wantPart(&rest)
					} else {
						client.wantSilence()
					}
					client.ask(all[cut:], rest)
				}
			})
		})
	}
}

// wantAnything wants some answer.
func (c *client) wantAnything() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := c.Read(make([]byte, 1000)); n == 0 {
		c.t.Fatalf("no answer: %v", err)
	}
}

// wantPart takes off the begin of answers what comes now.
func (c *client) wantPart(answers *string) {
	c.t.Helper()
	b := make([]byte, len(*answers))
	c.SetReadDeadline(time.Now().Add(time.Second))
	n, err := c.Read(b)
	if err != nil || n == 0 || !strings.HasPrefix(*answers, string(b[:n])) {
		c.t.Fatalf("it says %q (%v), want the begin of %q", b[:n], err, *answers)
	}
	*answers = (*answers)[n:]
}

// A client that asks much without waiting hears all answers.
func TestManyAtOnce(t *testing.T) {
	run(t, nil, func(r *rig) {
		const n = 5000
		client := r.come()
		go client.send(strings.Repeat(ns("mailgate example.net"), n))
		client.want(strings.Repeat(ns("OK encrypt protocols=>=TLSv1.2"), n))
		r.wantMetric(n, "answers_total", "mailgate", "ok")
	})
}

func TestMalformed(t *testing.T) {
	limit := func(c *Config) { c.Limits.Request, c.Limits.Attributes = 1000, 20 }
	for name, c := range map[string]struct{ request, why string }{
		"no protocol":        {" mailgate", "without a length"},
		"first a newline":    {"\n", "without a length"},
		"TLS":                {"\x16\x03\x01", "without a length"},
		"no length":          {":x,", "without a length"},
		"leading zero":       {"01:x,", "leading zero"},
		"two zeros":          {"00:,", "leading zero"},
		"no colon":           {"1x", "without a colon"},
		"minus":              {"-1:,", "without a length"},
		"space in length":    {"1 :x,", "without a colon"},
		"no comma":           {"1:xx", "without its comma"},
		"too long by one":    {"1001", "longer than 1000 bytes"},
		"huge":               {"99999999999999999999999999", "longer than 1000 bytes"},
		"an SMTP client":     {"EHLO client.example\n\n", "isn't name=value"},
		"no name":            {"a=b\n=c\n\n", "isn't name=value"},
		"no equals sign":     {"a=b\nc\n\n", "isn't name=value"},
		"many attributes":    {strings.Repeat("a=b\n", 21) + "\n", "more than 20 attributes"},
		"lines without end":  {strings.Repeat("a", 1000), "longer than 1000 bytes"},
		"lines too long":     {"a=" + strings.Repeat("b", 997) + "\n\n", "longer than 1000 bytes"},
		"second is nothing":  {"a=b\n\n\n", "no attributes"},
		"second is no frame": {ns("mailgate example.net") + "x", "without a length"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, limit, func(r *rig) {
				client, other := r.come(), r.come()
				other.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
				client.send(c.request)
				if strings.HasPrefix(name, "second") {
					client.wantAnything()
				}
				client.wantClosed()
				r.wantLog(1, "level=")
				r.wantLog(1, c.why)
				r.wantMetric(1, "errors_total", "request")
				other.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
			})
		})
	}
}

// A client may hang up between requests, and may half-close, as Exim does, before
// it reads the answer. In the middle of a request hanging up is worth a line.
func TestHangUp(t *testing.T) {
	for _, c := range []struct{ request, answer, line string }{
		{"", "", ""},
		{ns("mailgate example.net"), ns("OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"), ""},
		{rcpt("recipient=bob@gmail.com"), "action=DUNNO\n\n", ""},
		{"20:mailgate", "", "level=INFO"},
		{ns("mailgate example.net") + "20:", ns("OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"), "in the middle of a request"},
		{"request=smtpd_access_policy\n", "", "in the middle of a request"},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var log text
		s := NewServer(Config{Policies: policies(), Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: Limits{Read: time.Hour}})
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- s.Serve(ctx, ln) }()

		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(client, c.request)
		client.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(client)
		if string(answer) != c.answer || err != nil {
			t.Errorf("%q: it says %q (%v), want %q", c.request, answer, err, c.answer)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if got := log.String(); !strings.Contains(got, c.line) || (c.line == "") != (got == "") {
			t.Errorf("%q: want %q in the log:\n%s", c.request, c.line, got)
		}
	}
}

func TestFaultsAreLogged(t *testing.T) {
	for _, c := range []struct{ request, kind, text string }{
		{ns("mailgate fault.example"), "lookup", "level=ERROR"},
		{ns("mailgate panic.example"), "panic", "told to"},
		{ns("mailgate unsettled.example"), "unsettled", "level=INFO"},
		{ns("junk x"), "unknown-map", "unknown map"},
		{ns("preflight a@b fault@c"), "advice", "the disk is gone"},
		{rcpt("recipient=panic@c"), "panic", "told to"},
		{ns("mailgate example.net"), "", ""},
		{rcpt("recipient=refuse@c"), "", ""},
	} {
		run(t, nil, func(r *rig) {
			client := r.come()
			client.send(c.request)
			client.wantAnything()
			if c.kind == "" {
				r.wantLog(0, "level=")
				return
			}
			r.wantLog(1, "level=")
			r.wantMetric(1, "errors_total", c.kind)
			if !strings.Contains(r.log.String(), c.text) {
				t.Errorf("no %q in the log:\n%s", c.text, &r.log)
			}
		})
	}
}
