package quarantine

import (
	"context"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// fakeRelay takes what came through it.
type fakeRelay struct {
	trusted []mail.Address
	during  func() // called when it is told to trust
	kicks   int
}

func (r *fakeRelay) Takes(m *spool.Message) bool { return m.Source == "relay" }

func (r *fakeRelay) Trust(_ context.Context, _ *spool.Message, to []mail.Address) {
	r.trusted = append(r.trusted, to...)
	if r.during != nil {
		r.during()
	}
}

func (r *fakeRelay) Kick() { r.kicks++ }

func holdAtRelay(t *testing.T, w *world, to ...string) *spool.Message {
	t.Helper()
	m := &spool.Message{Source: "relay", From: mail.Address{Local: "ann", Domain: "example.com"}}
	for _, local := range to {
		a := mail.Address{Local: local, Domain: "gmail.com"}
		m.Envelope.To = append(m.Envelope.To, a)
		m.Recipients = append(m.Recipients, spool.Recipient{Address: a, State: spool.Held, Reason: spool.Refused})
	}
	if err := w.store.Take(t.Context(), m, strings.NewReader("From: ann@example.com\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	return m
}

// A release by the relay leaves the message in the relay's queue, due at once, and
// hands nothing over.
func TestReleaseToRelay(t *testing.T) {
	w := newWorld(t)
	relay := &fakeRelay{}
	w.o.Relay = relay
	m := holdAtRelay(t, w, "bob", "carol")
	released, err := w.Release(t.Context(), Request{ID: m.ID, To: []string{"bob@gmail.com"}, Actor: "root", Reason: "mended"})
	if err != nil || len(released.Recipients) != 1 || released.Recipients[0].Answer != inRelay {
		t.Fatalf("%+v, %v", released, err)
	}
	if w.mta.took() != 0 || relay.kicks != 1 || len(relay.trusted) != 0 {
		t.Errorf("sent %d, told %+v", w.mta.took(), relay)
	}
	m, err = w.store.Get(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	bob, carol := m.Recipients[0], m.Recipients[1]
	if bob.State != spool.Queued || bob.Delivery.Next.IsZero() || carol.State != spool.Held {
		t.Errorf("bob %+v\ncarol %+v", bob, carol)
	}
	if due, err := w.store.Due(t.Context(), time.Now(), nil, 1); err != nil || len(due) != 1 || due[0] != "gmail.com" {
		t.Errorf("due: %v, %v", due, err)
	}
	if stuck, err := w.store.Stuck(t.Context()); err != nil || len(stuck) != 0 {
		t.Errorf("a start would hold it again: %v, %v", stuck, err)
	}
}

// The relay hears that a reviewer sends what would be refused, and before it can find
// that in its queue.
func TestReleaseToRelayAnyway(t *testing.T) {
	w := newWorld(t)
	relay := &fakeRelay{}
	w.o.Relay = relay
	w.judge.refuse("gmail.com")
	m := holdAtRelay(t, w, "bob", "carol")
	relay.during = func() {
		if got := w.states(t, m.ID); got != "held held" {
			t.Errorf("in the queue before the relay knows: %s", got)
		}
	}
	if _, err := w.Release(t.Context(), Request{ID: m.ID, Actor: "root", Reason: "mended"}); err == nil || len(relay.trusted) != 0 {
		t.Errorf("released although it would be refused: %v", err)
	}
	_, err := w.Release(t.Context(), Request{ID: m.ID, To: []string{"bob@gmail.com"}, Actor: "root", Reason: "he waits", Anyway: true})
	if err != nil || len(relay.trusted) != 1 || relay.trusted[0].Local != "bob" || relay.kicks != 1 || w.states(t, m.ID) != "queued held" {
		t.Errorf("%v, %+v, %s", err, relay, w.states(t, m.ID))
	}
}

// What the re-check finds mended goes into the queue, too.
func TestRecheckReleasesToRelay(t *testing.T) {
	w := newWorld(t)
	relay := &fakeRelay{}
	w.o.Relay = relay
	holdAtRelay(t, w, "bob", "carol")
	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || sum.Released != 2 || relay.kicks == 0 || len(relay.trusted) != 0 || w.mta.took() != 0 {
		t.Errorf("%+v, %v; told %+v", sum, err, relay)
	}
}
