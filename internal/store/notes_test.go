package store

import (
	"path/filepath"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// notes returns what is kept of a kind, by name.
func notes(t *testing.T, s *Store, kind string) map[string]spool.Note {
	t.Helper()
	list, err := s.Notes(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]spool.Note{}
	for _, n := range list {
		all[n.Name] = n
	}
	return all
}

func TestNotes(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "m.db")
	s := open(t, path, Options{Now: c.Now})
	begin := c.Now()
	keep := func(n spool.Note, entry *spool.LogEntry) {
		t.Helper()
		if err := s.KeepNote(t.Context(), n, entry); err != nil {
			t.Fatal(err)
		}
	}
	override := &spool.LogEntry{Time: begin, Action: spool.ActionOverride, Actor: "ann", Where: "gmail.com", After: "encrypt", Reason: "old gateway"}
	keep(spool.Note{Kind: "a", Name: "gmail.com", Data: []byte("1")}, override)
	keep(spool.Note{Kind: "a", Name: "gmail.com", Data: []byte("2"), Until: begin.Add(time.Hour)}, nil)
	keep(spool.Note{Kind: "a", Name: "example.net", Data: []byte("3")}, nil)
	keep(spool.Note{Kind: "b", Name: "gmail.com", Data: []byte("4")}, nil)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Options{Now: c.Now})
	got := notes(t, s, "a")
	if len(got) != 2 || string(got["gmail.com"].Data) != "2" || !got["gmail.com"].Until.Equal(begin.Add(time.Hour)) || string(got["example.net"].Data) != "3" {
		t.Errorf("after a restart: %v", got)
	}
	c.set(begin.Add(time.Hour))
	if got := notes(t, s, "a"); len(got) != 1 || string(got["example.net"].Data) != "3" {
		t.Errorf("after the end of one: %v", got)
	}

	gone := &spool.LogEntry{Time: begin, Action: spool.ActionNoOverride, Actor: "ann", Where: "example.net"}
	for range 2 { // the second time there is none, and nothing to log
		if err := s.DropNote(t.Context(), "a", "example.net", gone); err != nil {
			t.Fatal(err)
		}
	}
	if got := notes(t, s, "a"); len(got) != 0 {
		t.Errorf("after it was dropped: %v", got)
	}
	if got := notes(t, s, "b"); len(got) != 1 {
		t.Errorf("of the other kind: %v", got)
	}
	entries, err := s.Log(t.Context(), spool.LogFilter{OldestFirst: true})
	if err != nil || len(entries) != 2 || entries[0].Where != "gmail.com" || entries[1].Action != spool.ActionNoOverride {
		t.Errorf("log: %+v, %v", entries, err)
	}
	if _, err := s.VerifyLog(t.Context()); err != nil {
		t.Error(err)
	}
}
