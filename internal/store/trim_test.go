package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// sound fails unless Check finds the store sound.
func sound(t testing.TB, s *Store) {
	t.Helper()
	got, err := Check(t.Context(), "sqlite:"+s.path, nil)
	if err != nil || len(got.Faults) > 0 {
		t.Errorf("Check: %v, %v", got.Faults, err)
	}
}

// TestTrim: what is old and finished goes, all else stays, and the log says so.
func TestTrim(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	taken := func(evidence string) string {
		m := message(t, "a@gmail.com", "b@gmail.com")
		m.Evidence = []byte(evidence)
		m.From.Domain = addr(t, "x@"+evidence+".example").Domain
		return take(t, s, m, "body")
	}
	old, shared := taken("gone"), taken("shared")
	for _, id := range []string{old, shared} {
		move(t, s, id, spool.Held, spool.Discarded)
	}
	before := c.add(time.Hour)
	late, held := taken("shared"), taken("held")
	move(t, s, late, spool.Held, spool.Discarded)
	var last spool.LogEntry
	if e, err := s.Log(t.Context(), spool.LogFilter{ID: shared, Limit: 1}); err != nil || len(e) != 1 {
		t.Fatal(e, err)
	} else {
		last = e[0]
	}

	if n, err := s.Trim(t.Context(), before); n != 8 || err != nil {
		t.Fatalf("Trim = %d, %v", n, err)
	}
	for id, there := range map[string]bool{old: false, shared: false, late: true, held: true} {
		if _, err := s.Get(t.Context(), id); (err == nil) != there || err != nil && !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("%s: %v, want it there: %t", id, err, there)
		}
	}
	if got := string(content(t, s, held)); got != "body" {
		t.Errorf("body of the held one: %q", got)
	}
	for table, want := range map[string]int{"evidence": 2, "recipients": 4, "chunks": 2, "loose": 0} {
		if n := count(t, s, "SELECT count(*) FROM "+table); n != want {
			t.Errorf("%d %s, want %d", n, table, want)
		}
	}
	counts, err := s.Count(t.Context())
	if err != nil || counts.States[spool.Discarded] != 2 || counts.States[spool.Held] != 2 {
		t.Errorf("Count = %+v, %v", counts, err)
	}
	e, err := s.Log(t.Context(), spool.LogFilter{Limit: 1})
	if err != nil || len(e) != 1 {
		t.Fatal(e, err)
	}
	if e := e[0]; e.N != 15 || e.Action != spool.ActionTrim || e.Actor != "retention" || e.Where != hex.EncodeToString(last.Hash[:]) ||
		!strings.Contains(e.Reason, "entries 1 to 8") || !strings.Contains(e.Reason, "2026-11-21T13:00:00Z") {
		t.Errorf("%+v", e)
	}
	if chain, err := s.VerifyLog(t.Context()); err != nil || chain.First != 9 || chain.Last != 15 || chain.Trimmed != 8 {
		t.Errorf("VerifyLog = %+v, %v", chain, err)
	}
	sound(t, s)
	// Once more: nothing to do, nothing written.
	if n, err := s.Trim(t.Context(), before); n != 0 || err != nil {
		t.Errorf("second Trim = %d, %v", n, err)
	}
	verify(t, s, 15)
	// Later, the held one keeps its entries and all that follow.
	if n, err := s.Trim(t.Context(), c.add(time.Hour)); n != 2 || err != nil {
		t.Errorf("third Trim = %d, %v", n, err)
	}
	for _, id := range []string{late, held} {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s, of which the log speaks: %v", id, err)
		}
	}
	sound(t, s)
}

// TestTrimStopsAtFirstYounger: a clock that went back doesn't let entries go out of
// order.
func TestTrimStopsAtFirstYounger(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	for _, step := range []time.Duration{0, time.Hour, -time.Hour} {
		c.add(step)
		move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	}
	before := c.add(time.Minute)
	c.add(2 * time.Hour)
	if n, err := s.Trim(t.Context(), before); n != 2 || err != nil {
		t.Errorf("Trim = %d, %v; want 2", n, err)
	}
	sound(t, s)
}

// TestTrimAgain: trims follow one another, also over a restart, and entries that
// only say that others went don't go alone.
func TestTrimAgain(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	for range 3 {
		move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
		if n, err := s.Trim(t.Context(), c.add(time.Hour)); n < 2 || err != nil {
			t.Fatalf("Trim = %d, %v", n, err)
		}
		if n, err := s.Trim(t.Context(), c.add(time.Hour)); n != 0 || err != nil {
			t.Fatalf("Trim of a trim's entry = %d, %v", n, err)
		}
		sound(t, s)
		s.Close()
		s = open(t, s.path, Options{Now: c.Now})
	}
	verify(t, s, 9)
	if n := count(t, s, "SELECT count(*) FROM review_log") + count(t, s, "SELECT count(*) FROM messages"); n != 1 {
		t.Errorf("%d rows left", n)
	}
}

// TestTrimBrokenOff: what a Trim that was broken off leaves is out of sight, and
// goes with the next.
func TestTrimBrokenOff(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	for range 3 {
		move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	}
	before := c.add(time.Hour)
	o, err := s.outdated(t.Context(), before)
	if err == nil {
		err = s.update(t.Context(), "trim", 0, func(b *batch) error { return b.moveBase(o.base, o.last, before) })
	}
	if err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	if e, err := s.Log(t.Context(), spool.LogFilter{}); len(e) != 1 || err != nil {
		t.Errorf("Log: %d entries, %v", len(e), err)
	}
	if n, err := s.Trim(t.Context(), before); n != 0 || err != nil {
		t.Errorf("Trim = %d, %v", n, err)
	}
	if n := count(t, s, "SELECT count(*) FROM review_log"); n != 1 {
		t.Errorf("%d entries left", n)
	}
	sound(t, s)
}

// TestTrimMany: more than goes in one operation, with others in between.
func TestTrimMany(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	const n = 3*trimMessages + 1
	for i := range n {
		m := message(t, "a@gmail.com", "b@gmail.com", "c@gmail.com")
		m.Evidence = fmt.Appendf(nil, "%d", i)
		move(t, s, take(t, s, m, "x"), spool.Held, spool.Discarded)
	}
	got, err := s.Trim(t.Context(), c.add(time.Hour))
	if got != 6*n || err != nil {
		t.Errorf("Trim = %d, %v", got, err)
	}
	for _, table := range []string{"messages", "recipients", "evidence", "chunks"} {
		if n := count(t, s, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("%d %s left", n, table)
		}
	}
	sound(t, s)
}

func TestMarks(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	if at, err := s.Mark(t.Context(), "digest"); !at.IsZero() || err != nil {
		t.Errorf("Mark never set = %v, %v", at, err)
	}
	for range 2 {
		want := c.add(time.Hour)
		if err := s.SetMark(t.Context(), "digest", want); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = open(t, s.path, Options{Now: c.Now})
		if at, err := s.Mark(t.Context(), "digest"); !at.Equal(want) || err != nil {
			t.Errorf("Mark = %v, %v; want %v", at, err, want)
		}
	}
	if at, err := s.Mark(t.Context(), "other"); !at.IsZero() || err != nil {
		t.Errorf("another's = %v, %v", at, err)
	}
}
