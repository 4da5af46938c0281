package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/spool"
)

// group does operations in one transaction, which from outside is left to chance,
// and returns what each was answered. The store's own goroutine is ended first.
func group(t *testing.T, s *Store, do ...func(*batch) error) []error {
	t.Helper()
	var ops []*op
	for _, do := range do {
		ops = append(ops, &op{do: do})
	}
	return groupOf(t, s, ops...)
}

func groupOf(t *testing.T, s *Store, ops ...*op) []error {
	t.Helper()
	s.w.close()
	for _, o := range ops {
		o.name, o.ctx, o.done = "test", t.Context(), make(chan struct{})
	}
	s.w.write(ops)
	var errs []error
	for _, o := range ops {
		<-o.done
		errs = append(errs, o.err)
	}
	return errs
}

// entry appends to the review log, and to the numbers the writer keeps with it.
func entry(b *batch) error {
	b.newSeq()
	b.newBody()
	return b.log(spool.LogEntry{Time: b.w.s.o.Now(), ID: "test"})
}

// TestGroupKeepsOperationsApart: one that fails half way leaves nothing and harms
// none of the others in its transaction.
func TestGroupKeepsOperationsApart(t *testing.T) {
	s := fresh(t, Options{})
	broken := errors.New("changed its mind")
	before := s.w.next
	errs := group(t, s, entry, func(b *batch) error { return errors.Join(entry(b), broken) }, entry)
	if errs[0] != nil || !errors.Is(errs[1], broken) || errs[2] != nil {
		t.Errorf("answers %v", errs)
	}
	if got := s.w.next; got.entry != 2 || got.seq != before.seq+2 || got.body != before.body+2 {
		t.Errorf("position %+v after %+v", got, before)
	}
	verify(t, s, 2)
}

// TestGroupWithoutSavepoints: one that adds and fails half way after all leaves
// nothing either, and the others are done all the same.
func TestGroupWithoutSavepoints(t *testing.T) {
	s := fresh(t, Options{})
	broken := errors.New("changed its mind")
	before := s.w.next
	errs := groupOf(t, s, &op{adds: true, do: entry},
		&op{adds: true, do: func(b *batch) error { return errors.Join(entry(b), broken) }},
		&op{do: entry}, &op{adds: true, do: entry})
	if errs[0] != nil || !errors.Is(errs[1], broken) || errs[2] != nil || errs[3] != nil {
		t.Errorf("answers %v", errs)
	}
	if got := s.w.next; got.entry != 3 || got.seq != before.seq+3 || got.body != before.body+3 {
		t.Errorf("position %+v after %+v", got, before)
	}
	verify(t, s, 3)
}

// TestGroupForgetsKeys: a key that one operation of a group has found is not used by
// another when its row may be gone.
func TestGroupForgetsKeys(t *testing.T) {
	find := func(b *batch) error {
		key, err := b.identity("a.example", "b.example")
		if err != nil {
			return err
		}
		var there int
		if err := b.row("SELECT count(*) FROM identities WHERE id = ?", []any{key}, &there); err != nil || there != 1 {
			return fmt.Errorf("key %d: %d rows, %w", key, there, err)
		}
		return nil
	}
	other := func(b *batch) error {
		return b.exec("INSERT INTO identities (id, from_domain, mail_domain) VALUES (9, 'c', 'c')")
	}
	for name, between := range map[string]func(*batch) error{
		"deleted": func(b *batch) error { return b.exec("DELETE FROM identities") },
		"undone":  func(b *batch) error { return errors.Join(find(b), errors.New("changed its mind")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, Options{})
			first := &op{adds: true, do: find}
			if name == "undone" {
				first.do = other
			}
			errs := groupOf(t, s, first, &op{do: between}, &op{adds: true, do: find})
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("answers %v", errs)
			}
		})
	}
}

// TestGroupFull: when there is no room for the group, those for which there is
// room are done all the same, each once.
func TestGroupFull(t *testing.T) {
	s := fresh(t, Options{})
	limitPages(t, s, 60)
	errs := group(t, s, entry, func(b *batch) error {
		if err := entry(b); err != nil {
			return err
		}
		return b.addPiece(b.newBody(), 0, bytesOf(pieceBytes))
	}, entry)
	if errs[0] != nil || !errors.Is(errs[1], spool.ErrFull) || errs[2] != nil {
		t.Errorf("answers %v", errs)
	}
	if got := s.w.next; got.entry != 2 || got.seq != 2 {
		t.Errorf("position %+v", got)
	}
	verify(t, s, 2)
}

// TestGroupSkipsCancelled: an operation whose caller has gone before it began is
// not done.
func TestGroupSkipsCancelled(t *testing.T) {
	s := fresh(t, Options{})
	s.w.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := &op{name: "test", ctx: ctx, do: entry, done: make(chan struct{})}
	s.w.write([]*op{o})
	if <-o.done; !errors.Is(o.err, context.Canceled) {
		t.Errorf("answer %v", o.err)
	}
	verify(t, s, 0)
}

// TestLargeLetsOthersPass: while a large body is coming in, others are served,
// the message can't be seen, and it is in memory only in part.
func TestLargeLetsOthersPass(t *testing.T) {
	s := fresh(t, Options{})
	r := &slowReader{left: 3*pieceBytes + 5}
	r.pause = func() {
		take(t, s, message(t, "b@gmail.com"), "small")
		if all, err := s.List(t.Context(), spool.Filter{}); err != nil || len(all) != r.pauses {
			t.Errorf("%d messages are seen, %v; want %d", len(all), err, r.pauses)
		}
	}
	m := message(t, "a@gmail.com")
	if err := s.Take(t.Context(), m, r); err != nil {
		t.Fatal(err)
	}
	if r.pauses < 3 || m.Size != 3*pieceBytes+5 || len(content(t, s, m.ID)) != int(m.Size) {
		t.Errorf("%d pauses, size %d", r.pauses, m.Size)
	}
}

// slowReader gives zeros, with a pause after every piece.
type slowReader struct {
	left, given, pauses int
	pause               func()
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.given >= (r.pauses+1)*pieceBytes {
		r.pauses++
		r.pause()
	}
	n, err := strings.NewReader(strings.Repeat("\x00", min(len(p), r.left))).Read(p)
	r.left -= n
	r.given += n
	return n, err
}
