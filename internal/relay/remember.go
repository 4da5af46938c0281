package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// distrust remembers who refuses whose mail. The zero value is ready for use.
type distrust struct {
	writing sync.Mutex // held from a change until it is kept: so what is kept is what is remembered

	mu       sync.Mutex
	recalled bool
	told     map[Identity]Refusal
}

// maxDistrust bounds how many identities are remembered.
const maxDistrust = 10_000

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
	}
	d.told[id] = r
	return oldest
}

func (d *distrust) forget(id Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, id)
}

// recall reads what was kept at the last start or before. Where that fails, the next
// to ask tries again.
func (e *Engine) recall(ctx context.Context) {
	d := &e.distrust
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recalled || e.o.Notes == nil {
		return
	}
	notes, err := e.o.Notes.Notes(ctx, noteRefusal)
	if err != nil {
		e.log.ErrorContext(ctx, "can't read which providers refuse whose mail", "error", err)
		return
	}
	kept := make(map[Identity]Refusal, len(notes))
	for _, n := range notes[:min(len(notes), maxDistrust)] {
		id, r, err := parseNote(n)
		if err != nil {
			e.log.WarnContext(ctx, "a provider's refusal is forgotten: its note can't be read", "name", n.Name, "error", err)
			continue
		}
		kept[id] = r
	}
	maps.Copy(kept, d.told) // what was said since is newer
	d.told, d.recalled = kept, true
}

// note remembers a refusal, and keeps it unless the like of it is kept already.
func (e *Engine) note(ctx context.Context, id Identity, r Refusal) {
	e.recall(ctx)
	e.distrust.writing.Lock()
	defer e.distrust.writing.Unlock()
	before, known := e.distrust.get(id)
	oldest := e.distrust.note(id, r)
	if e.o.Notes == nil || known && before.Rule == r.Rule && maps.Equal(before.Findings, r.Findings) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if oldest != nil {
		e.drop(ctx, *oldest)
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = e.o.Notes.KeepNote(ctx, spool.Note{Kind: noteRefusal, Name: id.name(), Data: data}, nil)
	}
	if err != nil {
		e.log.WarnContext(ctx, "a provider's refusal can't be kept: after a restart another message is tried",
			"domain", id.From, "provider", id.Provider, "error", err)
	}
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

func (e *Engine) drop(ctx context.Context, id Identity) {
	if err := e.o.Notes.DropNote(ctx, noteRefusal, id.name(), nil); err != nil {
		e.log.WarnContext(ctx, "a provider's refusal can't be forgotten: after a restart mail is held for it again",
			"domain", id.From, "provider", id.Provider, "error", err)
	}
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
