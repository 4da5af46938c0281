package relay

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// A destination is down for six days: the sender is told after four hours that it
// takes longer, once, and after five days gets the message back with the last
// answer. Connections are few all the time.
func TestSixDaysDown(t *testing.T) {
	w := newWorld(t)
	w.settings.DelayAfter = 4 * time.Hour
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	home := w.server("example.com", "mx.example.com", "203.0.113.6", 10, &box{})
	var all []*spool.Message
	for range 4 {
		all = append(all, w.queue(nil, "bob@dest.example"))
	}
	w.until(4*time.Hour - time.Minute)
	if n := len(home.got()); n != 0 {
		t.Errorf("%d reports already", n)
	}
	w.until(2 * time.Hour)
	if n := len(home.got()); n != 4 {
		t.Fatalf("%s %d of the senders were told of the delay", w.log, n)
	}
	if got := home.got()[0].content; !strings.Contains(got, "Action: delayed") || !strings.Contains(got, "Will-Retry-Until: Thu, 26 Nov 2026 12:00:00") ||
		!strings.HasPrefix(got, "DKIM-Signature: fresh\n") || !strings.Contains(got, "connection refused") {
		t.Errorf("%s", got)
	}
	w.until(3 * 24 * time.Hour)
	w.want(all[0], spool.Queued, "connection refused")
	w.engine(nil) // a new process knows what it needs to
	w.until(3*24*time.Hour - 6*time.Hour)
	for _, m := range all {
		w.want(m, spool.Bounced, "connection refused")
	}
	mails := home.got()
	if len(mails) != 8 {
		t.Fatalf("%d reports for 4 messages", len(mails))
	}
	if got := mails[7].content; !strings.Contains(got, "Action: failed") || !strings.Contains(got, "It was tried for 5 days in vain") || !strings.Contains(got, "mailgate queue show ") ||
		!strings.Contains(got, "connection refused") || !strings.Contains(got, "Subject: hello") || mails[7].from[:12] != "MAIL FROM:<>" {
		t.Errorf("%s", got)
	}
	dials := 0
	for _, a := range w.dialed {
		if a.Addr() == addr("203.0.113.5") {
			dials++
		}
	}
	if dials > 200 {
		t.Errorf("%d connections were tried in six days", dials)
	}
}

// What the sender wants to hear of.
func TestNotify(t *testing.T) {
	for notify, want := range map[string]bool{"": true, "NEVER": false, "FAILURE": true, "DELAY": false, "SUCCESS": false, "SUCCESS,failure": true} {
		w := newWorld(t)
		w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT": "550 5.1.1 no"})})
		m := w.queue(func(m *spool.Message) { m.Recipients[0].Delivery.Notify = notify }, "bob@dest.example")
		w.pass()
		w.want(m, spool.Bounced, "550 5.1.1 no")
		if got := len(w.reports()); got != map[bool]int{true: 1}[want] {
			t.Errorf("%q: %d reports", notify, got)
		}
	}
}

// Mail from the null sender is never bounced: the postmaster gets it, or nobody.
func TestNullSender(t *testing.T) {
	for postmaster, want := range map[string]int{"": 0, "post@dest.example": 0, "post@home.example": 1} {
		w := newWorld(t)
		if postmaster != "" {
			w.settings.Postmaster = address(postmaster)
		}
		w.settings.DelayAfter = time.Hour
		w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT": "550 5.1.1 no"})})
		home := w.server("home.example", "mx.home.example", "203.0.113.6", 10, &box{})
		m := w.queue(func(m *spool.Message) { m.Envelope.From = mail.Address{} }, "post@dest.example")
		down := w.queue(func(m *spool.Message) { m.Envelope.From = mail.Address{} }, "bob@down.example")
		w.mx["down.example"] = []MX{{"mx.down.example", 1}}
		w.hosts["mx.down.example"] = append(w.hosts["mx.down.example"], addr("203.0.113.7"))
		w.until(5 * time.Hour)
		w.want(m, spool.Bounced, "550 5.1.1 no")
		w.want(down, spool.Queued, "connection refused")
		if got := len(home.got()); got != want {
			t.Errorf("postmaster %q: %d reports", postmaster, got)
		}
		if !strings.Contains(w.log.String(), "level=WARN msg=\"delivery: bounced\" id="+m.ID) {
			t.Errorf("log: %s", w.log)
		}
	}
}

// noCustody takes nothing.
type noCustody struct{ err error }

func (n *noCustody) take(w *world) {
	w.e.o.Custody = taker{n, w}
}

type taker struct {
	n *noCustody
	w *world
}

func (k taker) Take(ctx context.Context, m *spool.Message, r io.Reader) error {
	if k.n.err != nil {
		return k.n.err
	}
	return k.w.store.Take(ctx, m, r)
}

// A message isn't given up before its return is in custody.
func TestReturnComesFirst(t *testing.T) {
	w := newWorld(t)
	full := &noCustody{spool.ErrFull}
	full.take(w)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT": "550 5.1.1 no"})})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Queued, "550 5.1.1 no")
	full.err = nil
	w.advance(time.Hour)
	w.pass()
	w.want(m, spool.Bounced, "550 5.1.1 no")
	if len(w.reports()) != 1 {
		t.Errorf("%d reports", len(w.reports()))
	}
	if errors.Is(full.err, spool.ErrFull) {
		t.Fail()
	}
}

// A message that was held has all the time from its release on.
func TestHeldForLong(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	m := w.queue(func(m *spool.Message) {
		m.Recipients[0].State, m.Recipients[0].Reason, m.Recipients[0].Delivery = spool.Held, spool.Refused, spool.Delivery{}
	}, "bob@dest.example")
	w.advance(20 * 24 * time.Hour)
	err := w.store.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued, Actor: "test", Next: w.clock(), Verdict: "accept"})
	if err != nil {
		t.Fatal(err)
	}
	w.until(4 * 24 * time.Hour)
	w.want(m, spool.Queued, "connection refused")
	w.until(2 * 24 * time.Hour)
	w.want(m, spool.Bounced, "connection refused")
}

func TestSchedule(t *testing.T) {
	s := Settings{}.complete()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for tries, want := range []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour, 4 * time.Hour} {
		r := &spool.Recipient{Delivery: spool.Delivery{Tries: tries}}
		different := map[time.Time]bool{}
		age := 5 * time.Minute * (1<<tries - 1) // of the tries before
		if tries == 7 {
			age = 9*time.Hour + 15*time.Minute
		}
		m := &spool.Message{Received: now.Add(-age)}
		for range 50 {
			at := s.next(m, r, now, time.Time{})
			if wait := at.Sub(now); wait < want*9/10 || wait > want*11/10 {
				t.Errorf("after %d tries: %v", tries, wait)
			}
			different[at] = true
		}
		if len(different) < 40 {
			t.Errorf("after %d tries: %d different times", tries, len(different))
		}
	}
	m := &spool.Message{Received: now}
	far := &spool.Recipient{Delivery: spool.Delivery{Tries: 1 << 30}}
	if wait := s.next(m, far, now, time.Time{}).Sub(now); wait > 5*time.Hour {
		t.Errorf("%v", wait)
	}
	end := now.Add(5 * 24 * time.Hour)
	if at := s.next(m, far, end.Add(-time.Hour), time.Time{}); !at.Equal(end) {
		t.Errorf("the last try is at %v, not at the end", at)
	}
}
