package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// Of more notes than are remembered the newest count, and the others go.
func TestRecallDropsTheOldest(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	id := func(i int) Identity { return Identity{From: "example.com", Provider: fmt.Sprintf("d%05d.example", i)} }
	notes := &memory{}
	for i := range maxDistrust + 2 { // the names in one order, the times in the other
		data, err := json.Marshal(Refusal{Rule: "x", At: now.Add(-time.Duration(i) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		notes.notes = append(notes.notes, spool.Note{Kind: noteRefusal, Name: id(i).name(), Data: data})
	}
	e := New(Options{Notes: notes})
	for i, want := range map[int]bool{0: true, maxDistrust - 1: true, maxDistrust: false, maxDistrust + 1: false} {
		if _, ok := e.Distrusted(t.Context(), id(i)); ok != want {
			t.Errorf("%d: remembered %t, want %t", i, ok, want)
		}
	}
	if len(e.distrust.told) != maxDistrust || notes.drops != 2 || notes.dropped != id(maxDistrust).name() {
		t.Errorf("%d remembered, %d dropped, last %q", len(e.distrust.told), notes.drops, notes.dropped)
	}
}

// What couldn't be kept is kept later: when the like of it is said again, or when it is
// asked for, but not each time.
func TestRefusalIsKeptLater(t *testing.T) {
	id := Identity{"example.com", "example.com", "google"}
	for name, again := range map[string]func(e *Engine){
		"said again": func(e *Engine) { e.note(t.Context(), id, Refusal{Rule: "x"}) },
		"asked for":  func(e *Engine) { e.Distrusted(t.Context(), id) },
	} {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		notes := &memory{err: errors.New("no disk")}
		e := New(Options{Notes: notes, Now: func() time.Time { return now }})
		e.distrust.recalled = true
		e.note(t.Context(), id, Refusal{Rule: "x"})
		for range 3 {
			e.Distrusted(t.Context(), id)
		}
		if notes.kept != 1 {
			t.Errorf("%s: %d tries", name, notes.kept)
		}
		notes.err = nil
		now = now.Add(keepAgain)
		for range 3 {
			again(e)
		}
		if notes.kept != 2 {
			t.Errorf("%s: %d tries, want one more and no other", name, notes.kept)
		}
	}
}
