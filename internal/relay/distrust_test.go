package relay

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// tried queues a message to Google and says whether it was sent there.
func (w *world) tried(b *box) bool {
	w.t.Helper()
	before, _ := b.count()
	m := w.queue(atGoogle, "bob@gmail.test")
	w.pass()
	w.e.parked.closeAll()
	after, _ := b.count()
	if want := map[bool]spool.State{true: spool.Delivered, false: spool.Held}[after > before]; w.recipients(m)[0].State != want {
		w.t.Errorf("%d connections, and the recipient is %+v", after-before, w.recipients(m)[0])
	}
	return after > before
}

// refused has Google refuse mail, with findings as they are.
func (w *world) refused(b *box) {
	w.t.Helper()
	b.answers(starting(map[string]string{".": noAuth}))
	m := w.queue(atGoogle, "bob@gmail.test")
	w.pass()
	w.e.parked.closeAll()
	w.want(m, spool.Held, "550 5.7.26")
	b.answers(nil)
}

// Mail is held until the findings change or a reviewer says so, and not until a
// restart.
func TestDistrustEnds(t *testing.T) {
	then := map[string]string{"dkim": "good", "spf": "softfail"}
	id := Identity{"example.com", "example.com", "google"}
	w := newWorld(t)
	b := w.google()
	for _, c := range []struct {
		name  string
		event func(*world)
		tried bool
	}{
		{"nothing", func(*world) {}, false},
		{"time", func(w *world) { w.advance(30 * 24 * time.Hour) }, false},
		{"restart", func(w *world) { w.engine(nil) }, false},
		{"two restarts", func(w *world) { w.engine(nil); w.engine(nil) }, false},
		{"a finding changes", func(w *world) { w.findings = map[string]string{"dkim": "good", "spf": "pass"} }, true},
		{"and a restart", func(w *world) { w.findings = map[string]string{"dkim": "good", "spf": "pass"}; w.engine(nil) }, true},
		{"a check can't be made", func(w *world) { w.findings = map[string]string{"dkim": "good"} }, false},
		{"none can, after a restart", func(w *world) { w.findings = nil; w.engine(nil) }, false},
		{"a check more", func(w *world) { w.findings = map[string]string{"dkim": "good", "spf": "softfail", "ptr": "pass"} }, true},
		{"a reviewer", func(w *world) { w.e.Trust(w.t.Context(), id) }, true},
		{"a reviewer, and a restart", func(w *world) { w.e.Trust(w.t.Context(), id); w.engine(nil) }, true},
		{"a restart, and a reviewer", func(w *world) { w.engine(nil); w.e.Trust(w.t.Context(), id); w.engine(nil) }, true},
		{"a reviewer, of another sender", func(w *world) { w.e.Trust(w.t.Context(), Identity{"else.example", "", "google"}) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.findings = then
			w.engine(nil)
			w.e.Trust(t.Context(), id)
			w.refused(b)
			c.event(w)
			if got := w.tried(b); got != c.tried {
				t.Errorf("tried: %t, want %t", got, c.tried)
			}
			w.engine(nil)
			if got := w.tried(b); got != c.tried { // and so it stays
				t.Errorf("tried after that: %t, want %t", got, c.tried)
			}
		})
	}
}

// What is kept is what was said.
func TestDistrustIsKept(t *testing.T) {
	w := newWorld(t)
	w.findings = map[string]string{"spf": "softfail"}
	w.refused(w.google())
	w.engine(nil)
	id := Identity{"example.com", "example.com", "google"}
	r, ok := w.e.Distrusted(t.Context(), id)
	if !ok || r.Rule != "gmail-unauthenticated" || !strings.HasPrefix(r.Reply, "550 5.7.26 Your email") || r.Host != "mx.l.google.com" || !r.At.Equal(w.clock()) {
		t.Errorf("%+v, %t", r, ok)
	}
	m := w.queue(atGoogle, "carol@gmail.test")
	w.pass()
	w.want(m, spool.Held, "550 5.7.26 Your email")
}

// Two servers that disagree: mail that is taken ends what the other said.
func TestDeliveredEndsDistrust(t *testing.T) {
	w := newWorld(t)
	id := Identity{"example.com", "", "google"}
	w.e.note(t.Context(), id, Refusal{Rule: "x"})
	w.e.learn(t.Context(), &spool.Message{From: address("ann@example.com")}, []*fate{
		{to: spool.Recipient{Address: address("bob@gmail.test"), Provider: "google"}, outcome: delivered},
	})
	w.engine(nil)
	if r, ok := w.e.Distrusted(t.Context(), id); ok {
		t.Errorf("still remembered: %+v", r)
	}
}

// What is remembered and kept is bounded: the oldest goes.
func TestDistrustIsBounded(t *testing.T) {
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	id := func(i int) Identity { return Identity{From: mail.Domain("d" + strconv.Itoa(i)), Provider: "google"} }
	notes := &memory{}
	e := New(Options{Notes: notes})
	for i := range maxDistrust {
		e.distrust.note(id(i), Refusal{At: begin.Add(time.Duration(i) * time.Second)})
	}
	e.distrust.recalled = true
	e.note(t.Context(), id(7), Refusal{At: begin.Add(time.Hour), Rule: "again"}) // known: nobody goes
	if notes.dropped != "" {
		t.Errorf("dropped %q", notes.dropped)
	}
	e.note(t.Context(), id(maxDistrust), Refusal{At: begin.Add(24 * time.Hour)})
	if _, ok := e.distrust.get(id(0)); ok || notes.dropped != "d0  google" || len(e.distrust.told) != maxDistrust {
		t.Errorf("dropped %q, %d remembered", notes.dropped, len(e.distrust.told))
	}
	if notes.kept != 2 {
		t.Errorf("%d kept", notes.kept)
	}
	e.note(t.Context(), id(maxDistrust), Refusal{At: begin.Add(25 * time.Hour)})
	if notes.kept != 2 {
		t.Error("the like is kept again")
	}
}

// memory is Notes that may fail.
type memory struct {
	err     error
	notes   []spool.Note
	asked   int
	kept    int
	drops   int
	dropped string // the last
}

func (m *memory) Notes(context.Context, string) ([]spool.Note, error) {
	m.asked++
	return m.notes, m.err
}

func (m *memory) KeepNote(context.Context, spool.Note, *spool.LogEntry) error {
	m.kept++
	return m.err
}

func (m *memory) DropNote(_ context.Context, _, name string, _ *spool.LogEntry) error {
	m.drops++
	m.dropped = name
	return m.err
}

// A store that fails doesn't keep the engine from remembering, and is asked again.
func TestDistrustWithoutStore(t *testing.T) {
	id := Identity{"example.com", "example.com", "google"}
	other := Identity{"example.net", "", "yahoo"}
	notes := &memory{err: errors.New("no disk"), notes: []spool.Note{
		{Name: other.name(), Data: []byte(`{"rule":"kept"}`)},
		{Name: id.name(), Data: []byte(`{"rule":"old"}`)},
		{Name: "a b", Data: []byte(`{}`)},
		{Name: "a b c", Data: []byte(`{`)},
	}}
	log := &strings.Builder{}
	e := New(Options{Notes: notes, Logger: slog.New(slog.NewTextHandler(log, nil))})
	e.note(t.Context(), id, Refusal{Rule: "new"})
	if r, ok := e.Distrusted(t.Context(), id); !ok || r.Rule != "new" {
		t.Errorf("%+v, %t", r, ok)
	}
	if _, ok := e.Distrusted(t.Context(), other); ok {
		t.Error("remembered without having been read")
	}
	notes.err = nil
	if r, ok := e.Distrusted(t.Context(), other); !ok || r.Rule != "kept" {
		t.Errorf("%+v, %t", r, ok)
	}
	if r, ok := e.Distrusted(t.Context(), id); !ok || r.Rule != "new" {
		t.Errorf("what was kept replaced what is newer: %+v, %t", r, ok)
	}
	asked := notes.asked
	e.Distrusted(t.Context(), id)
	if notes.asked != asked || len(e.distrust.told) != 2 {
		t.Errorf("asked again, or remembers %v", e.distrust.told)
	}
	notes.err = errors.New("no disk")
	e.Trust(t.Context(), id)
	if _, ok := e.Distrusted(t.Context(), id); ok {
		t.Error("still distrusted")
	}
	for _, line := range []string{"can't read which providers", "can't be kept", "its note can't be read", "can't be forgotten"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("no line %q in:\n%s", line, log)
		}
	}
}

// A refusal is the provider's, also where it wasn't known whose the domain is when the
// message was taken: the re-check, which knows, asks for it under that name.
func TestRefusedByWhoWasUnknown(t *testing.T) {
	w := newWorld(t)
	b := w.google()
	b.answers(starting(map[string]string{".": noAuth}))
	m := w.queue(func(m *spool.Message) { m.Recipients[0].Provider = "unknown" }, "bob@gmail.test")
	w.pass()
	w.want(m, spool.Held, "550 5.7.26")
	if got := w.recipients(m)[0].Provider; got != "google" {
		t.Errorf("held at %q, want google", got)
	}
	google := Identity{"example.com", "example.com", "google"}
	if _, distrusted := w.e.Distrusted(t.Context(), google); !distrusted {
		t.Error("it isn't Google that refused it")
	}
	w.e.Trust(t.Context(), google)
	b.answers(nil)
	err := w.store.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued, Actor: "ann", Next: w.clock(), At: w.clock()})
	if err != nil {
		t.Fatal(err)
	}
	w.pass()
	w.want(m, spool.Delivered, "250")
}
