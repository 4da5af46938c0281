package relay

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// during is custody that something happens in the middle of.
type during struct {
	spool.Taker
	do func()
}

func (d during) Take(ctx context.Context, m *spool.Message, r io.Reader) error {
	d.do()
	return d.Taker.Take(ctx, m, r)
}

// While a message is given up nobody lets it go, lest its sender is told that it
// failed and it is delivered.
func TestGiveUpKeepsOthersAway(t *testing.T) {
	w := newWorld(t)
	dest := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	w.server("example.com", "mx.example.com", "203.0.113.6", 10, &box{})
	m, other := w.queue(nil, "bob@dest.example"), w.queue(nil, "bob@dest.example")
	release := func(m *spool.Message) error { // as a reviewer does
		done, err := w.e.Moving(m.ID)
		if err != nil {
			return err
		}
		defer done()
		return w.store.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued, Actor: "reviewer", Next: w.clock()})
	}
	if _, err := w.e.Hold(t.Context(), order(other.ID, "wait")); err != nil {
		t.Fatal(err)
	}
	w.e.o.Custody = during{w.store, func() {
		if err := release(m); !errors.Is(err, spool.ErrConflict) {
			t.Errorf("let go: %v", err)
		}
		if err := release(other); err != nil {
			t.Errorf("another message: %v", err)
		}
		if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); !errors.Is(err, spool.ErrConflict) {
			t.Errorf("given up twice: %v", err)
		}
	}}
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); err != nil {
		t.Error(err)
	}
	w.pass()
	if w.states(m) != "bounced" || w.states(other) != "delivered" || len(dest.got()) != 1 || len(w.reports()) != 1 {
		t.Errorf("%s, %s; %d delivered, %d reports", w.states(m), w.states(other), len(dest.got()), len(w.reports()))
	}
	if err := release(m); !errors.Is(err, spool.ErrConflict) {
		t.Error(err)
	}
	if done, err := w.e.Moving(m.ID); err != nil {
		t.Errorf("afterwards: %v", err)
	} else {
		done()
	}
}

// What somebody else moves at that moment isn't given up.
func TestGiveUpLeavesWhatMoves(t *testing.T) {
	w := newWorld(t)
	m := w.queue(nil, "bob@dest.example")
	one, err := w.e.Moving(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.e.Moving(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	one()
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); !errors.Is(err, spool.ErrConflict) || w.states(m) != "queued" || len(w.reports()) != 0 {
		t.Errorf("%v: %s", err, w.states(m))
	}
	two()
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); err != nil || w.states(m) != "bounced" {
		t.Errorf("%v: %s", err, w.states(m))
	}
}

// What can't be given up goes on as it was: it is tried when it would have been, and
// has no more time than it had.
func TestGiveUpInVainChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	w.server("far.example", "mx.far.example", "203.0.113.7", 10, nil)
	plain := w.queue(nil, "bob@dest.example", "carol@far.example")
	w.advance(24 * time.Hour)
	released := w.queue(func(m *spool.Message) {
		m.Recipients[0].State, m.Recipients[0].Reason, m.Recipients[0].Delivery = spool.Held, spool.Refused, spool.Delivery{}
	}, "bob@dest.example")
	w.advance(24 * time.Hour)
	if err := w.store.Move(t.Context(), spool.Move{ID: released.ID, From: spool.Held, Into: spool.Queued, Actor: "reviewer", Next: w.clock(), At: w.clock()}); err != nil {
		t.Fatal(err)
	}
	w.until(time.Hour)
	for _, m := range []*spool.Message{plain, released} {
		before := w.recipients(m)
		w.advance(time.Minute)
		full := &noCustody{spool.ErrFull}
		full.take(w)
		for range 2 {
			if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); !errors.Is(err, spool.ErrFull) {
				t.Fatal(err)
			}
		}
		full.err = nil
		for i, after := range w.recipients(m) {
			if after.State != spool.Queued || after.Delivery != before[i].Delivery || !since(m, &after).Equal(since(m, &before[i])) {
				t.Errorf("%+v, since %v\nwas %+v, since %v", after, since(m, &after), before[i], since(m, &before[i]))
			}
		}
	}
}

// stuck is a store that hangs when it is to take something, and has one message.
type stuck struct {
	spool.Message
	moves []spool.Move
}

func (s *stuck) Get(context.Context, string) (*spool.Message, error) { return &s.Message, nil }

func (s *stuck) Open(context.Context, string) (io.ReadCloser, error) { return nil, spool.ErrNotFound }

func (s *stuck) Take(ctx context.Context, _ *spool.Message, _ io.Reader) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Move(ctx context.Context, m spool.Move) error {
	if ctx.Err() == nil {
		s.moves = append(s.moves, m)
	}
	return ctx.Err()
}

// What can't be given up in time goes back into the queue, also when its client is gone.
func TestGiveUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := time.Now().Add(time.Hour)
		s := &stuck{Message: spool.Message{ID: "q7f3a", Received: time.Now(), Envelope: mail.Envelope{From: address("ann@example.com")}, Recipients: []spool.Recipient{
			{Address: address("bob@dest.example"), State: spool.Queued, Delivery: spool.Delivery{Next: next}},
		}}}
		e := New(Options{Messages: s, Bodies: s, Custody: s, Settings: func() Settings { return Settings{Hostname: "relay.example.com"} }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := e.GiveUp(ctx, order("q7f3a", "enough"))
		if !errors.Is(err, context.DeadlineExceeded) || len(s.moves) != 2 || s.moves[1].Into != spool.Queued || !s.moves[1].Next.Equal(next) {
			t.Errorf("%v; moved %+v", err, s.moves)
		}
	})
}
