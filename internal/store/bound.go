package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"mailgate/internal/spool"
)

// Usage is the room the store takes, in bytes.
type Usage struct {
	Used    int64  // of the database, without its free pages
	Max     int64  // Options.MaxBytes; 0: no bound
	File    int64  // on disk: the database with its log
	Full    bool   // nothing more is taken until there is room
	Refused uint64 // messages not taken for want of room, since the start
}

// bound keeps the store below Options.MaxBytes.
type bound struct {
	used    atomic.Int64 // at the last commit
	refused atomic.Uint64
	full    atomic.Bool // set by the writer
}

// Usage says how much room the store takes. It costs nothing to ask often.
func (s *Store) Usage(context.Context) (Usage, error) {
	u := Usage{Used: s.bound.used.Load(), Max: s.maxBytes(), Refused: s.bound.refused.Load()}
	u.Full = s.bound.full.Load() && u.Max > 0 && u.Used > roomy(u.Max)
	var err error
	if u.File, err = sizeOnDisk(s.path); err != nil {
		return u, fmt.Errorf("size of the store: %w", err)
	}
	return u, s.Err()
}

func (s *Store) maxBytes() int64 {
	if s.o.MaxBytes == nil {
		return 0
	}
	return max(s.o.MaxBytes(), 0)
}

// roomy is the use up to which a store that was full has room again: so much below
// the bound that not every message alerts anew.
func roomy(most int64) int64 { return most - most/20 }

// bring is update for a part of a message: of size bytes, with rest bytes, itself
// included, to come. It fails as full when those would go beyond the bound.
func (s *Store) bring(ctx context.Context, name string, size int, rest int64, do func(*batch) error) error {
	err := s.submit(&op{name: name, ctx: ctx, size: size, rest: max(rest, int64(size)), bounded: true, adds: true, do: do})
	if errors.Is(err, spool.ErrFull) {
		s.bound.refused.Add(1)
	}
	return err
}

// admit says whether the bound leaves room for an operation. coming is what the
// operations before it in the same transaction bring.
func (w *writer) admit(o *op, coming *int64) error {
	most := w.s.maxBytes()
	used := w.s.bound.used.Load() + *coming
	switch {
	case !o.bounded:
		return nil
	case most == 0 || used+o.rest <= most:
		*coming += int64(o.size)
		return nil
	case used > roomy(most):
		w.alert(used, most)
	default:
		w.s.o.Logger.Warn("no room for a message under hold.max_bytes: it is answered 452",
			"size", o.rest, "used", used, "max_bytes", most)
	}
	return fmt.Errorf("%w: %d bytes more would go beyond hold.max_bytes", spool.ErrFull, o.rest)
}

// alert tells once that the bound is reached.
func (w *writer) alert(used, most int64) {
	if w.s.bound.full.CompareAndSwap(false, true) {
		w.s.o.Logger.Error("the store is full: mail that would be held is answered 452. Release or discard held mail, shorten hold.keep_bodies, or raise hold.max_bytes",
			"used", used, "max_bytes", most, "database", w.s.path)
	}
}

// measure reads how much of the database is used.
func (b *batch) measure() (used int64, err error) {
	var pages, free int64
	if err := b.row("PRAGMA page_count", nil, &pages); err != nil {
		return 0, err
	}
	if err := b.row("PRAGMA freelist_count", nil, &free); err != nil {
		return 0, err
	}
	return (pages - free) * b.w.pageSize, nil
}

// measured takes down what is used after a commit, and tells when the bound was
// reached and when there is room again.
func (w *writer) measured(used int64) {
	w.s.bound.used.Store(used)
	switch most := w.s.maxBytes(); {
	case most > 0 && used >= most:
		w.alert(used, most)
	case most == 0 || used <= roomy(most):
		if w.s.bound.full.CompareAndSwap(true, false) {
			w.s.o.Logger.Info("the store has room again", "used", used, "max_bytes", most)
		}
	}
}
