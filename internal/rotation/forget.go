package rotation

import (
	"context"
	"fmt"
	"maps"

	"mailgate/internal/spool"
)

// For leaves out the rotations that have ended and whose place another key has taken:
// the file configured for the old selector can be read, and has a key that the rotation
// knows nothing of. Who configures a key means that one. It reads files.
func (b Book) For(site Site) Book {
	left := b
	for _, k := range site.Keys {
		if r := b.of(k.Domain, k.Selector); r != nil && overtaken(*r, k.File) {
			left = left.without(r)
		}
	}
	return left
}

func overtaken(r Rotation, file string) bool {
	if r.State != Done || r.Was == "" {
		return false
	}
	record, err := recordOf(file)
	return err == nil && record != r.Was && record != r.Record
}

func (b Book) without(r *Rotation) Book {
	all := maps.Clone(b.all)
	delete(all, r.OldName())
	return Book{all}
}

// Reconfigured tells that what Options.Site returns has changed.
func (e *Engine) Reconfigured() {
	e.mu.Lock()
	e.review = true
	e.mu.Unlock()
	e.awake()
}

// forget drops what For leaves out, once for each configuration.
func (e *Engine) forget(ctx context.Context) {
	e.mu.Lock()
	due, book := e.review, e.book
	e.review = false
	e.mu.Unlock()
	if !due {
		return
	}
	left := book.For(e.o.Site())
	for name, r := range book.all {
		if left.all[name] != nil {
			continue
		}
		if err := e.drop(ctx, *r); err != nil {
			e.o.Log.ErrorContext(ctx, "rotation: an ended one can't be forgotten; it is tried again", append(e.attrs(*r), "error", err)...)
			e.mu.Lock()
			e.review = true
			e.mu.Unlock()
		}
	}
}

// drop forgets a rotation.
func (e *Engine) drop(ctx context.Context, r Rotation) error {
	const act = "forgotten: another key is configured under the old selector, and signs"
	entry := &spool.LogEntry{
		Time: e.o.Now(), Action: spool.ActionRotate, Actor: "rotation",
		Where: r.OldName(), After: string(r.State), Reason: act,
	}
	if err := e.o.Notes.DropNote(ctx, noteKind, r.OldName(), entry); err != nil {
		return fmt.Errorf("forget the rotation of %s: %w", r.OldName(), err)
	}
	e.mu.Lock()
	e.book = e.book.without(&r)
	delete(e.unkept, r.OldName())
	e.mu.Unlock()
	e.o.Log.InfoContext(ctx, "rotation: "+act, e.attrs(r)...)
	return nil
}
