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

func TestOffers(t *testing.T) {
	for answer, want := range map[string]bool{
		"250-box\r\n250-SIZE 1\r\n250 8BITMIME\r\n": true, "250-box\r\n250-8bitMIME\r\n250 DSN\r\n": true, "250 box\r\n": false, "": false, "250": false,
		"250-": false, "250-box\r\n250 X8BITMIME\r\n": false, "550 8BITMIME\r\n": false, "250-box\r\n250-DSN 8BITMIME\r\n": false,
	} {
		if got := offers([]byte(answer), "8BITMIME"); got != want {
			t.Errorf("%q: %v", answer, got)
		}
	}
}
