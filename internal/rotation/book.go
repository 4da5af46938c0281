package rotation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// noteKind is that of the notes rotations are kept in. Their name is OldName.
const noteKind = "key-rotation"

// Book is every rotation there ever was of keys that are still named, by OldName. It is
// immutable; the zero value is empty.
type Book struct{ all map[string]*Rotation }

// Load reads the rotations kept.
func Load(ctx context.Context, notes spool.Notes) (Book, error) {
	list, err := notes.Notes(ctx, noteKind)
	if err != nil {
		return Book{}, fmt.Errorf("read the rotations of keys: %w", err)
	}
	b := Book{map[string]*Rotation{}}
	for _, n := range list {
		r := &Rotation{}
		// What can't be read may be about the key that signs: going on would be a guess.
		if err := json.Unmarshal(n.Data, r); err != nil {
			return Book{}, fmt.Errorf("read the rotation of key %s: %w", n.Name, err)
		}
		b.all[n.Name] = r
	}
	return b, nil
}

// BookOf is a book of rotations that somebody else keeps.
func BookOf(list []Rotation) Book {
	var b Book
	for _, r := range list {
		b = b.with(&r)
	}
	return b
}

// All returns every rotation, those that are open first, then by name.
func (b Book) All() []Rotation {
	list := make([]Rotation, 0, len(b.all))
	for _, r := range b.all {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(x, y Rotation) int {
		return cmp.Or(cmp.Compare(order(x), order(y)), cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.Old.Selector, y.Old.Selector))
	})
	return list
}

func order(r Rotation) int {
	if r.State.Open() {
		return 0
	}
	return 1
}

func (b Book) with(r *Rotation) Book {
	all := maps.Clone(b.all)
	if all == nil {
		all = map[string]*Rotation{}
	}
	all[r.OldName()] = r
	return Book{all}
}

// of is the rotation of a key, open or not.
func (b Book) of(d mail.Domain, selector string) *Rotation { return b.all[recordName(d, selector)] }

// into is the rotation that made a key.
func (b Book) into(d mail.Domain, selector string) *Rotation {
	for _, r := range b.all {
		if r.Domain == d && strings.EqualFold(r.New.Selector, selector) {
			return r
		}
	}
	return nil
}

// Use is a key as it is to be used.
type Use struct {
	Selector string
	File     string
	Identity string // i=
	Standby  bool   // signs only where no other key is valid in DNS

	// Configured is the key that an ended rotation put this one in the place of; nil:
	// none did. Where this one can't be read, that one is used: nothing that has ended
	// keeps a gateway from starting.
	Configured *Use
}

// Uses returns what becomes of the configured keys of one signing domain: the new key
// in place of the one it replaced, which is on standby for its grace. A new key that
// the configuration names already is the same key; while it isn't everywhere and the
// configuration names the old one, too, it doesn't sign.
func (b Book) Uses(d mail.Domain, configured []Use) []Use {
	var uses, standby []Use
	named := map[string]Use{}
	for _, k := range configured {
		named[strings.ToLower(k.Selector)] = k
	}
	taken := map[string]bool{}
	add := func(k Use) {
		if own, ok := named[strings.ToLower(k.Selector)]; ok {
			k.File, k.Identity, k.Configured = own.File, own.Identity, nil
		}
		if !taken[strings.ToLower(k.Selector)] {
			taken[strings.ToLower(k.Selector)] = true
			uses = append(uses, k)
		}
	}
	for _, k := range configured {
		if r := b.into(d, k.Selector); r != nil && r.State.Open() && !r.State.Switched() && named[strings.ToLower(r.Old.Selector)].File != "" {
			continue
		}
		active, old := b.follow(d, k)
		add(active)
		if old.Selector != "" {
			standby = append(standby, old)
		}
	}
	for _, k := range standby {
		k.Standby = true
		add(k)
	}
	return uses
}

// follow finds the key that signs in place of k, and the one on standby beside it.
func (b Book) follow(d mail.Domain, k Use) (active, standby Use) {
	configured := k
	for range len(b.all) + 1 {
		r := b.of(d, k.Selector)
		if r == nil || !r.State.Switched() {
			break
		}
		next := Use{Selector: r.New.Selector, File: r.New.File, Identity: k.Identity}
		if r.State == Done {
			next.Configured = &configured
		}
		if r.State == Signing {
			return next, k
		}
		k = next
	}
	return k, Use{}
}

// drives reports whether a configured key leads to the rotation. What the
// configuration doesn't name is left alone.
func (b Book) drives(d mail.Domain, selector string, r *Rotation) bool {
	if d != r.Domain {
		return false
	}
	for range len(b.all) + 1 {
		if strings.EqualFold(selector, r.Old.Selector) || strings.EqualFold(selector, r.New.Selector) {
			return true
		}
		next := b.of(d, selector)
		if next == nil || !next.State.Switched() {
			return false
		}
		selector = next.New.Selector
	}
	return false
}
