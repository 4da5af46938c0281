package relay

import (
	"context"
	"errors"
	"io"
	"testing"

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
