package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// distrust remembers who refuses whose mail. The zero value is ready for use.
type distrust struct {
	writing sync.Mutex // held from a change until it is kept: so what is kept is what is remembered

	mu       sync.Mutex
	recalled bool
	told     map[Identity]Refusal
	unkept   map[Identity]time.Time // those that could not be kept, and when that is tried again
}

// maxDistrust bounds how many identities are remembered.
const maxDistrust = 10_000

// keepAgain is the time between two tries to keep a refusal.
const keepAgain = time.Minute

// noteRefusal is the kind of the notes in which refusals are kept, by identity.
const noteRefusal = "relay-refusal"

func (d *distrust) get(id Identity) (Refusal, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.told[id]
	return r, ok
}

// note remembers a refusal. There may be none for whom it has to forget the oldest.
func (d *distrust) note(id Identity, r Refusal) (oldest *Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told == nil {
		d.told = map[Identity]Refusal{}
	}
	if _, known := d.told[id]; !known && len(d.told) >= maxDistrust {
		for other, its := range d.told {
			if oldest == nil || its.At.Before(d.told[*oldest].At) {
				oldest = &other
			}
		}
		delete(d.told, *oldest)
		delete(d.unkept, *oldest)
	}
	d.told[id] = r
	return oldest
}

func (d *distrust) forget(id Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, id)
	delete(d.unkept, id)
}

// lacks reports whether a refusal is remembered and not kept; next is when that is to
// be tried again.
func (d *distrust) lacks(id Identity) (next time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, ok = d.unkept[id]
	return next, ok
}

// tried notes how the try to keep a refusal ended; next is zero if it is kept.
func (d *distrust) tried(id Identity, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if next.IsZero() {
		delete(d.unkept, id)
		return
	}
	if d.unkept == nil {
		d.unkept = map[Identity]time.Time{}
	}
	d.unkept[id] = next
}

func (d *distrust) isRecalled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.recalled
}

// add remembers what was kept, save what was said since, which is newer. It returns
// those for whom there is no room: the oldest.
func (d *distrust) add(kept map[Identity]Refusal) (surplus []Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(kept, d.told)
	if len(kept) > maxDistrust {
		surplus = slices.SortedFunc(maps.Keys(kept), func(a, b Identity) int { return kept[a].At.Compare(kept[b].At) })
		surplus = surplus[:len(kept)-maxDistrust]
	}
	for _, id := range surplus {
		delete(kept, id)
		delete(d.unkept, id)
	}
	d.told, d.recalled = kept, true
	return surplus
}

// recall reads what was kept at the last start or before. Where that fails, the next
// to ask tries again.
func (e *Engine) recall(ctx context.Context) {
	d := &e.distrust
	if e.o.Notes == nil || d.isRecalled() {
		return
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	if d.isRecalled() {
		return
	}
	notes, err := e.o.Notes.Notes(ctx, noteRefusal)
	if err != nil {
		e.log.ErrorContext(ctx, "can't read which providers refuse whose mail", "error", err)
		return
	}
	kept := make(map[Identity]Refusal, len(notes))
	for _, n := range notes {
		id, r, err := parseNote(n)
		if err != nil {
			e.log.WarnContext(ctx, "a provider's refusal is forgotten: its note can't be read", "name", n.Name, "error", err)
			continue
		}
		kept[id] = r
	}
	for _, id := range d.add(kept) {
		if !e.drop(context.WithoutCancel(ctx), id) {
			return // the next start does it
		}
	}
}

// note remembers a refusal, and keeps it unless the like of it is kept already.
func (e *Engine) note(ctx context.Context, id Identity, r Refusal) {
	e.recall(ctx)
	e.distrust.writing.Lock()
	defer e.distrust.writing.Unlock()
	before, known := e.distrust.get(id)
	_, unkept := e.distrust.lacks(id)
	oldest := e.distrust.note(id, r)
	if e.o.Notes == nil || known && !unkept && before.Rule == r.Rule && maps.Equal(before.Findings, r.Findings) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if oldest != nil {
		e.drop(ctx, *oldest)
	}
	e.keep(ctx, id, r)
}

// keepLate keeps a refusal that could not be kept before, when its time has come.
func (e *Engine) keepLate(ctx context.Context, id Identity) {
	if next, unkept := e.distrust.lacks(id); !unkept || e.o.Now().Before(next) {
		return
	}
	e.distrust.writing.Lock()
	defer e.distrust.writing.Unlock()
	next, unkept := e.distrust.lacks(id) // somebody may have done it
	r, known := e.distrust.get(id)
	if unkept && known && !e.o.Now().Before(next) {
		e.keep(context.WithoutCancel(ctx), id, r)
	}
}

func (e *Engine) keep(ctx context.Context, id Identity, r Refusal) {
	data, err := json.Marshal(r)
	if err == nil {
		err = e.o.Notes.KeepNote(ctx, spool.Note{Kind: noteRefusal, Name: id.name(), Data: data}, nil)
	}
	if err == nil {
		e.distrust.tried(id, time.Time{})
		return
	}
	e.distrust.tried(id, e.o.Now().Add(keepAgain))
	e.log.WarnContext(ctx, "a provider's refusal can't be kept: unless a later try does it, another message is tried after a restart",
		"domain", id.From, "provider", id.Provider, "error", err)
}

// forget has the next mail of an identity tried.
func (e *Engine) forget(ctx context.Context, id Identity) {
	if _, known := e.distrust.get(id); !known {
		return
	}
	e.distrust.writing.Lock()
	defer e.distrust.writing.Unlock()
	e.distrust.forget(id)
	if e.o.Notes != nil {
		e.drop(context.WithoutCancel(ctx), id)
	}
}

// drop reports whether the note of an identity is gone.
func (e *Engine) drop(ctx context.Context, id Identity) bool {
	err := e.o.Notes.DropNote(ctx, noteRefusal, id.name(), nil)
	if err != nil {
		e.log.WarnContext(ctx, "a provider's refusal can't be forgotten: after a restart mail is held for it again",
			"domain", id.From, "provider", id.Provider, "error", err)
	}
	return err == nil
}

// name is that of an identity's note: no part of it has a space.
func (id Identity) name() string {
	return string(id.From) + " " + string(id.MailFrom) + " " + id.Provider
}

func parseNote(n spool.Note) (Identity, Refusal, error) {
	var r Refusal
	parts := strings.Split(n.Name, " ")
	if len(parts) != 3 {
		return Identity{}, r, fmt.Errorf("%d words in its name, want 3", len(parts))
	}
	err := json.Unmarshal(n.Data, &r)
	return Identity{mail.Domain(parts[0]), mail.Domain(parts[1]), parts[2]}, r, err
}
