package store

import (
	"fmt"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// from is a message with a pair of domains, a cause and a reply named after n.
func from(t testing.TB, n int) *spool.Message {
	m := message(t, "a@gmail.com")
	m.From.Domain = addr(t, fmt.Sprintf("x@d%d.example", n)).Domain
	m.Recipients[0].Rule = fmt.Sprint("rule-", n)
	m.Recipients[0].Reply = "550 " + string(m.From.Domain)
	return m
}

// TestSweep: what only forgotten messages had is forgotten with them.
func TestSweep(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	const n = sweepRows + 5
	for i := range n {
		move(t, s, take(t, s, from(t, i), "x"), spool.Held, spool.Discarded)
	}
	before := c.add(time.Hour)
	kept := take(t, s, from(t, 7), "x")
	if _, err := s.Trim(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"identities", "causes", "replies", "messages"} {
		if n := count(t, s, "SELECT count(*) FROM "+table); n != 1 {
			t.Errorf("%d %s left, want 1", n, table)
		}
	}
	if m, err := s.Get(t.Context(), kept); err != nil || len(m.Recipients) != 1 || m.Recipients[0].Reply != "550 d7.example" {
		t.Errorf("%+v, %v", m, err)
	}
	sound(t, s)
}

// TestSweepMeanwhile: a reply that was found unused and comes into use before it is
// removed stays, be it with a new message or with one held for something else.
func TestSweepMeanwhile(t *testing.T) {
	s := fresh(t, Options{})
	raw(t, s, "INSERT INTO replies VALUES (70, '550 d1.example'), (71, '550 later')", "INSERT INTO replies VALUES (72, '550 never')")
	other := take(t, s, from(t, 2), "x")
	if err := s.watchReplies(t.Context(), map[int64]bool{}); err != nil {
		t.Fatal(err)
	}
	id := take(t, s, from(t, 1), "x")
	now := &spool.Hold{Reason: spool.Refused, Reply: "550 later"}
	if err := s.Move(t.Context(), spool.Move{ID: other, From: spool.Held, Into: spool.Held, Now: now}); err != nil {
		t.Fatal(err)
	}
	if err := s.update(t.Context(), "sweep", 0, func(b *batch) error { return b.dropReplies([]int64{70, 71, 72}) }); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT count(*) FROM replies WHERE id IN (70, 71, 72)"); n != 2 {
		t.Errorf("%d replies left, want 2", n)
	}
	for _, id := range []string{id, other} {
		if m, err := s.Get(t.Context(), id); err != nil || len(m.Recipients) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// TestSweepByIndex: whether a pair of domains is in use isn't looked up in every
// message.
func TestSweepByIndex(t *testing.T) {
	s := fresh(t, Options{})
	if n := count(t, s, "SELECT count(*) FROM messages INDEXED BY messages_by_identity WHERE identity = 1"); n != 0 {
		t.Error(n)
	}
}
