package quarantine

import (
	"context"
	"errors"
	"fmt"
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
	giving  string // the message that it is giving up
	moving  string // the one that is being moved
}

func (r *fakeRelay) Takes(m *spool.Message) bool { return m.Source == "relay" }

func (r *fakeRelay) Moving(id string) (func(), error) {
	if id == r.giving {
		return nil, fmt.Errorf("it is being given up: %w", spool.ErrConflict)
	}
	r.moving = id
	return func() { r.moving = "" }, nil
}

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

// moves tells of moves while they happen.
type moves struct {
	spool.Store
	during func(spool.Move)
}

func (s moves) Move(ctx context.Context, m spool.Move) error {
	s.during(m)
	return s.Store.Move(ctx, m)
}

// What the relay gives up at this moment nobody moves out of what is held; and what is
// being moved it doesn't give up.
func TestRelayGivesUp(t *testing.T) {
	for name, leave := range map[string]func(w *world, id string) error{
		"release": func(w *world, id string) error {
			_, err := w.Release(t.Context(), Request{ID: id, Actor: "root", Reason: "x", Anyway: true})
			return err
		},
		"discard": func(w *world, id string) error {
			return w.Discard(t.Context(), Request{ID: id, Actor: "root", Reason: "x"})
		},
		"expire": func(w *world, id string) error {
			_, err := w.expireOne(t.Context(), id)
			return err
		},
	} {
		for _, source := range []string{"relay", "milter"} {
			w := newWorld(t)
			relay := &fakeRelay{}
			w.o.Relay = relay
			w.policy = Policy{MaxAge: time.Hour, Hostname: "mx1.example.com"}
			w.judge.refuse("gmail.com")
			id := w.hold(t, "Subject: x\r\n\r\nx\r\n", "bob@gmail.com")
			if source == "relay" {
				id = holdAtRelay(t, w, "bob").ID
				w.policy.Postmaster = path(t, "post@example.com")
			}
			w.later = 2 * time.Hour
			relay.giving = id
			if err := leave(w, id); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "being given up") || w.states(t, id) != "held" {
				t.Errorf("%s %s: %v, %s", name, source, err, w.states(t, id))
			}
			relay.giving = ""
			w.Quarantine.store = moves{w.store, func(m spool.Move) {
				if m.From == spool.Held && relay.moving != id {
					t.Errorf("%s %s: the relay may give it up in the middle", name, source)
				}
			}}
			if err := leave(w, id); err != nil || w.states(t, id) == "held" || relay.moving != "" {
				t.Errorf("%s %s: %v, %s, %q", name, source, err, w.states(t, id), relay.moving)
			}
		}
	}
}
