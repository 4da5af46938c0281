package relay

import (
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// What a server offers before TLS may be anybody's word: what counts is what it offers
// over TLS.
func TestCapabilitiesOverTLS(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	const all, few = "250-box\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-SIZE 1\r\n250 STARTTLS", "250-box\r\n250 STARTTLS"
	for name, c := range map[string]struct {
		before, over string
		delivers     bool
	}{
		"offered before":   {all, "250 box", false},
		"offered over TLS": {few, "250-box\r\n250-DSN\r\n250 8BITMIME", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.engine(roots)
			w.policies(tlspolicy.Override{Destination: "dest.example", Level: tlspolicy.Encrypt, Reason: "test"})
			asked := 0
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{cert: cert})
			b.answers(func(line string) string {
				switch {
				case line == "STARTTLS":
					asked = 1
				case strings.HasPrefix(line, "EHLO") && asked == 0:
					return c.before
				case strings.HasPrefix(line, "EHLO"):
					return c.over
				}
				return ""
			})
			m := w.queue(func(m *spool.Message) {
				m.EnvelopeID, m.Evidence = "QQ314159", []byte("Subject: x\r\n\r\n\xe4\xf6\r\n")
			}, "bob@dest.example")
			w.pass()
			if !c.delivers {
				w.want(m, spool.Bounced, "8BITMIME")
				if len(b.got()) != 0 {
					t.Errorf("%+v", b.got())
				}
				return
			}
			w.want(m, spool.Delivered, "250")
			if got := b.got(); len(got) != 1 || !got[0].tls || !strings.Contains(got[0].from, "ENVID=QQ314159") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A server may write its keywords as it likes.
func TestKeywordsInAnyCase(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{extensions: []string{"8bitmime", "SmtpUtf8", "size 1000", "dsn"}})
	eight := w.queue(func(m *spool.Message) {
		m.EnvelopeID, m.Evidence = "QQ314159", []byte("Subject: x\r\n\r\n\xe4\xf6\r\n")
	}, "bob@dest.example")
	utf8 := w.queue(nil, "b\u00f6b@dest.example")
	big := w.queue(func(m *spool.Message) { m.Evidence = []byte("Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 1000)) }, "bob@dest.example")
	w.pass()
	w.want(eight, spool.Delivered, "250")
	w.want(utf8, spool.Delivered, "250")
	w.want(big, spool.Bounced, "at most 1000")
	got := b.got()
	if len(got) != 2 || !strings.Contains(got[0].from, "BODY=8BITMIME") || !strings.Contains(got[0].from, "ENVID=QQ314159") || !strings.Contains(got[1].from, " SMTPUTF8") {
		t.Errorf("%+v", got)
	}
}

func TestCapitalize(t *testing.T) {
	for answer, want := range map[string]string{
		"250-box ready\r\n250-size 1k\r\n250 8bitmime\r\n": "250-BOX ready\r\n250-SIZE 1k\r\n250 8BITMIME\r\n",
		"250-x-\xe4b auth login\r\n250 auth=login":         "250-X-\xe4B auth login\r\n250 AUTH=LOGIN",
		"502 5.5.1 no such command\r\n250 box\r\n":         "502 5.5.1 no such command\r\n250 BOX\r\n",
		"25": "25", "": "", "250": "250", "250-": "250-", "\n\n250 dsn": "\n\n250 DSN",
	} {
		for split := range len(answer) + 1 {
			got := []byte(answer)
			var l keywordLine
			l.capitalize(got[:split])
			l.capitalize(got[split:])
			if string(got) != want {
				t.Errorf("%q, read in two parts at %d: %q", answer, split, got)
			}
		}
	}
}
