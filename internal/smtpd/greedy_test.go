package smtpd

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Clients that are slow where TestSlow isn't: at logging in, in the TLS handshake, and
// with reading what they are told. Their sessions end.
func TestSlowElsewhere(t *testing.T) {
	const short = 60 * time.Millisecond
	t.Run("AUTH", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := secured(t, TLSOffered, func(c *Config, l *Listener) {
				c.Limits.Idle, l.Users, l.Listener = time.Minute, brokenUsers{}, localPipes()
			})
			k := r.talk(t)
			k.startTLS()
			k.say("AUTH LOGIN", "334")
			k.want("421 4.4.2")
			k.closed()
		})
	})
	t.Run("handshake", func(t *testing.T) {
		r := secured(t, TLSOffered, func(c *Config, _ *Listener) { c.Limits.Read = short })
		k := r.talk(t)
		k.say("STARTTLS", "220")
		k.send("\x16\x03\x01\x02\x00\x01") // a record that begins, and goes no further
		k.closed()
		r.log.has(t, "TLS handshake")
	})
	t.Run("implicit TLS", func(t *testing.T) {
		r := secured(t, TLSImplicit, func(c *Config, _ *Listener) { c.Limits.Read = short })
		r.dial(t).closed()
	})
	t.Run("reads nothing", func(t *testing.T) {
		r := start(t, func(c *Config, _ *Listener) { c.Limits.Write, c.Limits.Commands = short, 1e9 })
		k := r.dial(t)
		k.SetWriteDeadline(time.Now().Add(hang))
		for { // until the server doesn't read on, as it can't say anything
			if _, err := io.WriteString(k.Conn, strings.Repeat("NOOP\r\n", 1000)); err != nil {
				break
			}
		}
		eventually(t, "end of the session", func() bool { return !working("(*Server).session") })
	})
}

// Slow clients in any state don't keep others waiting.
func TestOthersGoOn(t *testing.T) {
	r := start(t, nil)
	for i := range 60 {
		k := r.dial(t)
		k.send([]string{
			"", "EHL", "EHLO x\r\n",
			"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@gmail.com>\r\n",
			"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\nFrom: a",
			"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@gmail.com>\r\nBDAT 30000000 LAST\r\nFrom: a",
		}[i%6])
	}
	k := r.talk(t)
	for range 20 {
		if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0 taken") {
			t.Fatal(got)
		}
	}
	if n := r.spool.count(); n != 20 {
		t.Errorf("%d messages", n)
	}
}

// The limits of a command line, as exactly as those of a message.
func TestCommandLine(t *testing.T) {
	for n, want := range map[int]string{readBuffer - 1: "250", readBuffer: "250", readBuffer + 1: "500 5.5.6"} {
		k := start(t, nil).talk(t)
		k.send("NOOP " + strings.Repeat("x", n-len("NOOP \r\n")) + "\r\n")
		if got := k.reply(); !strings.HasPrefix(got, want) {
			t.Errorf("a line of %d bytes: %q, want %s", n, got, want)
		}
	}
}

// One session more or less than there may be, of a client and in all.
func TestSessionsExactly(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Sessions: 5, SessionsPerClient: 100}, "421 4.3.2"},
		{Limits{Sessions: 100, SessionsPerClient: 5}, "421 4.7.0"},
	} {
		r := start(t, func(config *Config, _ *Listener) { config.Limits = c.limits })
		var all []*talk
		for range 5 {
			all = append(all, r.talk(t))
		}
		k := r.dial(t)
		k.want(c.want)
		k.closed()
		for _, k := range all {
			k.say("NOOP", "250")
		}
		all[0].say("QUIT", "221")
		all[0].closed()
		eventually(t, "place for one", func() bool { return strings.HasPrefix(r.dial(t).reply(), "220") })
	}
}

// However STARTTLS is written, nothing sent along with it counts: neither before TLS
// nor after.
func TestSTARTTLSInjectionForms(t *testing.T) {
	const evil = "MAIL FROM:<ann@example.com>\r\nRCPT TO:<eve@example.net>\r\nDATA\r\n" + letter + ".\r\n"
	for _, normalise := range []bool{false, true} {
		for _, c := range []string{"STARTTLS\r\n", "starttls\r\n", "StartTLS\n", "NOOP\r\nSTARTTLS\r\n"} {
			for cut := range 2 {
				t.Run(fmt.Sprintf("%q, normalise %v, in %d pieces", c, normalise, cut+1), func(t *testing.T) {
					r := secured(t, TLSOffered, func(_ *Config, l *Listener) { l.Normalise = normalise })
					k := r.talk(t)
					if cut == 0 {
						k.send(c + evil)
					} else { // the rest comes when TLS may have begun
						k.send(c)
						k.reply()
						io.WriteString(k.Conn, evil)
					}
					for got := k.reply(); got != ""; got = k.reply() {
						if strings.HasPrefix(got, "250 2.1.") { // to MAIL or RCPT
							t.Errorf("reply %q", got)
						}
					}
					if n := r.spool.count(); n != 0 {
						t.Errorf("%d messages taken", n)
					}
				})
			}
		}
	}
}
