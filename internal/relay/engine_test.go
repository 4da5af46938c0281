package relay

import (
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

func TestDeliver(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	m := w.queue(nil, "bob@dest.example", `"carol x"@dest.example`)
	w.pass()
	w.want(m, spool.Delivered, "250 2.0.0 queued as 4Zx")
	got := b.got()
	if len(got) != 1 || len(got[0].to) != 2 || got[0].to[1] != `RCPT TO:<"carol x"@dest.example>` {
		t.Fatalf("%+v", got)
	}
	want := strings.ReplaceAll("DKIM-Signature: old\r\nReceived: from x by relay.example.com\r\n"+letter, "\r\n", "\n")
	if got[0].content != want {
		t.Errorf("%q, want %q", got[0].content, want)
	}
	if r := w.recipients(m)[0]; r.Delivery.Host != "mx.dest.example" || r.Delivery.TLS != "" {
		t.Errorf("%+v", r.Delivery)
	}
	if len(w.signed) != 0 {
		t.Error("signed although there is a signature")
	}
	if p := w.e.Predictions(); p.Agreed != 2 || len(p.Latest) != 0 {
		t.Errorf("%+v", p)
	}
}

// Connections are used again, by the next messages and by those that come soon.
func TestConnectionIsReused(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	for range 5 {
		w.queue(nil, "bob@dest.example")
	}
	w.pass()
	w.queue(nil, "bob@dest.example")
	w.pass()
	if n, _ := b.count(); n != 1 || len(b.got()) != 6 {
		t.Errorf("%d connections for %d messages", n, len(b.got()))
	}
	w.settings.MessagesPerConnection = 2
	for range 4 {
		w.queue(nil, "bob@dest.example")
	}
	w.pass()
	if n, _ := b.count(); n != 3 {
		t.Errorf("%d connections, 2 messages for each", n)
	}
}

// A server that closed an idle connection costs no try.
func TestStaleConnection(t *testing.T) {
	w := newWorld(t)
	n := 0
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		if strings.HasPrefix(line, "MAIL") {
			if n++; n == 2 {
				return "close"
			}
		}
		return ""
	})
	w.queue(nil, "bob@dest.example")
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if n, _ := b.count(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A server that takes so many messages over a connection, and says 421 to the next,
// gets the rest over others at once.
func TestSoManyForAConnection(t *testing.T) {
	w := newWorld(t)
	w.settings.PerDestination = 1
	n := 0
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		switch {
		case line == "greeting":
			n = 0
		case strings.HasPrefix(line, "MAIL"):
			if n++; n > 5 {
				return "421 4.7.0 too many messages on this connection"
			}
		}
		return ""
	})
	for range 30 {
		w.queue(nil, "bob@dest.example")
	}
	w.pass()
	if c, _ := b.count(); len(b.got()) != 30 || c != 6 {
		t.Errorf("%d of 30 delivered over %d connections, want 6", len(b.got()), c)
	}
}

func TestAnswersPerRecipient(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{
		"RCPT TO:<no@":    "550-5.1.1 no such\r\n550 5.1.1 user",
		"RCPT TO:<full@":  "452 4.2.2 over quota",
		"RCPT TO:<grey@":  "450 4.7.1 greylisted",
		"RCPT TO:<later@": "421 4.3.2 closing",
	})})
	m := w.queue(nil, "no@dest.example", "bob@dest.example", "grey@dest.example")
	full := w.queue(nil, "full@dest.example")
	w.pass()
	for i, want := range []struct {
		state  spool.State
		answer string
	}{{spool.Bounced, "550 5.1.1 no such user"}, {spool.Delivered, "250 2.0.0 queued as 4Zx"}, {spool.Queued, "450 4.7.1 greylisted"}} {
		if r := w.recipients(m)[i]; r.State != want.state || r.Delivery.Answer != want.answer || r.Delivery.Tries != 1 {
			t.Errorf("%+v, want %v", r, want)
		}
	}
	w.want(full, spool.Queued, "452 4.2.2 over quota")
	if r := w.recipients(m)[2].Delivery; r.Next.Before(w.clock().Add(4*time.Minute)) || r.Next.After(w.clock().Add(6*time.Minute)) {
		t.Errorf("next try %v", r.Next.Sub(w.clock()))
	}
	bounces := w.reports()
	if len(bounces) != 1 || !strings.Contains(bounces[0], "Final-Recipient: rfc822; no@dest.example") ||
		!strings.Contains(bounces[0], "Diagnostic-Code: smtp; 550 5.1.1 no such user") || strings.Contains(bounces[0], "grey@") {
		t.Errorf("%s", bounces)
	}
}

// The first digit of an answer decides: what is taken with another 2xx isn't sent again.
func TestAnotherYes(t *testing.T) {
	for answer, want := range map[string]string{"200 OK": "200 OK", "251 2.1.5 gone on": "251 2.1.5 gone on", "252-2.0.0 so\r\n252 2.0.0 be it": "252 2.0.0 so be it"} {
		for _, at := range []string{"MAIL", "RCPT TO:<bob", "RSET", "."} {
			w := newWorld(t)
			dots := 0
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
			b.answers(func(line string) string {
				if line == "." {
					dots++
				}
				if strings.HasPrefix(line, at) {
					return answer
				}
				if strings.HasPrefix(line, "RCPT TO:<no@") {
					return "450 4.1.1 no"
				}
				return ""
			})
			w.queue(nil, "no@dest.example") // RSET
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			last := "250 2.0.0 queued"
			if at == "." {
				last = want
			}
			w.want(m, spool.Delivered, last)
			if c, _ := b.count(); c != 1 {
				t.Errorf("%s to %s: %d connections", answer, at, c)
			}
			w.until(24 * time.Hour)
			if dots != 1 {
				t.Errorf("%s to %s: sent %d times", answer, at, dots)
			}
		}
	}
}

// A server that takes so many recipients at a time gets the others at once.
func TestTooManyRecipients(t *testing.T) {
	w := newWorld(t)
	n := 0
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		switch {
		case strings.HasPrefix(line, "MAIL"):
			n = 0
		case strings.HasPrefix(line, "RCPT"):
			if n++; n > 4 { // box asks twice
				return "452 4.5.3 too many"
			}
		}
		return ""
	})
	m := w.queue(nil, "a@dest.example", "b@dest.example", "c@dest.example", "d@dest.example", "e@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if got := b.got(); len(got) != 3 {
		t.Errorf("%d transactions", len(got))
	}
}

// The answer to the final dot that doesn't come: it is sent again.
func TestDisconnectAfterDot(t *testing.T) {
	w := newWorld(t)
	first := true
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		if line == "." && first {
			return "close"
		}
		return ""
	})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Queued, "final dot")
	if !strings.Contains(w.log.String(), "may arrive twice") || !strings.Contains(w.log.String(), m.ID) {
		t.Errorf("log: %s", w.log)
	}
	b.change(func() { first = false })
	w.advance(10 * time.Minute)
	w.pass()
	w.want(m, spool.Delivered, "250")
	if len(b.got()) != 2 {
		t.Errorf("%d copies", len(b.got()))
	}
}

// 421 to everything pauses the destination: later mail makes no connection.
func TestServerIsBusy(t *testing.T) {
	for _, at := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t)
			busy := true
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
			b.answers(func(line string) string {
				if busy && strings.HasPrefix(line, at) {
					return "421 4.3.2 too busy"
				}
				return ""
			})
			first := w.queue(nil, "bob@dest.example")
			second := w.queue(nil, "carol@dest.example")
			w.pass()
			w.want(first, spool.Queued, "421 4.3.2 too busy")
			if d := w.recipients(second)[0].Delivery; d.Tries != 0 || !d.Next.After(w.clock().Add(30*time.Second)) {
				t.Errorf("what waits for the end of the pause: %+v", d)
			}
			third := w.queue(nil, "dave@dest.example")
			w.pass()
			if n, _ := b.count(); n != 1 {
				t.Errorf("%d connections", n)
			}
			w.want(third, spool.Queued, "")
			b.change(func() { busy = false })
			w.until(30 * time.Minute)
			for _, m := range []*spool.Message{first, second, third} {
				w.want(m, spool.Delivered, "250")
			}
		})
	}
}
