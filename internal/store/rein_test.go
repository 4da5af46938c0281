package store

import (
	"fmt"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestRein: what waits too long is brought forward, spread, and pauses end; the rest is
// as it was.
func TestRein(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	now := c.Now()
	latest := now.Add(5 * time.Hour)
	near := take(t, s, queued(t, now.Add(4*time.Hour), "near@gmail.com", "near@yahoo.com"), "x")
	var to []string
	for i := range deferRows + 10 {
		to = append(to, fmt.Sprintf("u%d@gmail.com", i))
	}
	far := take(t, s, queued(t, now.Add(20*24*time.Hour), to...), "x")
	take(t, s, queued(t, now, "leased@other.example"), "x")
	claims, err := s.Claim(t.Context(), "other.example", now, now.Add(20*24*time.Hour), 1)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	if _, err := s.Defer(t.Context(), "yahoo.com", now.Add(20*24*time.Hour), false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Rein(t.Context(), now, latest); n != len(to) || err != nil {
		t.Errorf("Rein = %d, %v; want %d", n, err, len(to))
	}
	sound(t, s)
	for _, r := range get(t, s, near).Recipients {
		if !r.Delivery.Next.Equal(now.Add(4 * time.Hour)) {
			t.Errorf("%s: next try %v from now", r.Address, r.Delivery.Next.Sub(now))
		}
	}
	moments, first := map[time.Time]bool{}, latest
	for _, r := range get(t, s, far).Recipients {
		at := r.Delivery.Next
		if moments[at] = true; at.Before(now) || at.After(latest) {
			t.Errorf("%s: next try %v from now", r.Address, at.Sub(now))
		}
		if at.Before(first) {
			first = at
		}
	}
	if len(moments) < 300 || first.After(now.Add(time.Hour)) {
		t.Errorf("%d tries at %d moments, the first %v from now", len(to), len(moments), first.Sub(now))
	}
	if n, err := s.Rein(t.Context(), now, latest); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	settled(t, s, claims[0], all(claims[0], spool.Result{Into: spool.Delivered})...)
	sound(t, s)
}
