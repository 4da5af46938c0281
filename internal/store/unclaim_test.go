package store

import (
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestUnclaim: what is given back is due as before and not tried; what the claim has no
// more is left alone.
func TestUnclaim(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start := c.Now()
	first := take(t, s, queued(t, start, "a@gmail.com", "b@gmail.com"), "x")
	second := take(t, s, queued(t, start, "c@gmail.com"), "x")
	c.set(start.Add(time.Minute))
	claims := claim(t, s, "gmail.com")
	if len(claims) != 2 || claims[0].Message.ID != first {
		t.Fatalf("%d claims", len(claims))
	}
	later := start.Add(time.Hour)
	settled(t, s, claims[0], spool.Result{Recipient: addr(t, "a@gmail.com"), Into: spool.Queued, Next: later})
	if err := s.Unclaim(t.Context(), claims...); err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	a, b := get(t, s, first).Recipients[0].Delivery, get(t, s, first).Recipients[1].Delivery
	if !a.Next.Equal(later) || a.Tries != 1 || !b.Next.Equal(start) || b.Tries != 0 || due(t, s) != "gmail.com" {
		t.Errorf("%+v, %+v, due %q", a, b, due(t, s))
	}
	again := claim(t, s, "gmail.com")
	if len(again) != 2 || again[1].Message.ID != second || again[1].Fence <= claims[1].Fence {
		t.Fatalf("%+v", again)
	}
	if err := s.Unclaim(t.Context(), claims...); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, s, "gmail.com"); len(got) != 0 {
		t.Errorf("%d claims given back by whom they aren't any more", len(got))
	}
	sound(t, s)
}

// TestClaimLate: of what waits at a paused destination, those whose sender is to be told.
func TestClaimLate(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start := c.Now()
	m := func(age time.Duration, next time.Time, to ...string) string {
		m := queued(t, next, to...)
		m.Received = start.Add(-age)
		return take(t, s, m, "x")
	}
	const delay, end = 4 * time.Hour, 24 * time.Hour
	m(time.Hour, start.Add(-time.Hour), "new@gmail.com")
	m(5*time.Hour, start.Add(-30*time.Minute), "told@gmail.com")
	wait := m(5*time.Hour, start.Add(-2*time.Hour), "wait@gmail.com", "too@gmail.com")
	old := m(25*time.Hour, start.Add(-time.Minute), "old@gmail.com")
	m(25*time.Hour, start.Add(time.Minute), "notdue@gmail.com")
	m(25*time.Hour, start.Add(-time.Minute), "other@yahoo.com")
	held := message(t, "held@gmail.com") // its time began when it was released
	held.Received = start.Add(-48 * time.Hour)
	id := take(t, s, held, "x")
	if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Queued, Next: start, At: start}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Defer(t.Context(), "gmail.com", start.Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	late := func(limit int, d spool.Deadlines) string {
		t.Helper()
		claims, err := s.ClaimLate(t.Context(), "gmail.com", start, start.Add(time.Minute), limit, d)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		var got []string
		for _, k := range claims {
			for _, r := range k.Message.Recipients {
				got = append(got, r.Address.Local)
			}
		}
		if err := s.Unclaim(t.Context(), claims...); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, " ")
	}
	for want, d := range map[string]spool.Deadlines{"wait too old": {Delay: delay, End: end}, "old": {End: end}, "": {End: 100 * time.Hour}} {
		if got := late(10, d); got != want {
			t.Errorf("%+v: %q, want %q", d, got, want)
		}
	}
	if got := late(1, spool.Deadlines{Delay: delay, End: end}); got != "wait too" {
		t.Errorf("one message: %q", got)
	}
	claims, err := s.ClaimLate(t.Context(), "gmail.com", start, start.Add(time.Minute), 10, spool.Deadlines{Delay: delay, End: end})
	if err != nil || len(claims) != 2 || claims[0].Message.ID != wait || claims[1].Message.ID != old {
		t.Fatalf("%+v, %v", claims, err)
	}
	if got := claims[0].Message.Recipients[0].Delivery.Next; !got.Equal(start.Add(-2 * time.Hour)) {
		t.Errorf("the try was due at %v", got)
	}
	if got := late(10, spool.Deadlines{Delay: delay, End: end}); got != "" {
		t.Errorf("claimed twice: %q", got)
	}
	settled(t, s, claims[1], all(claims[1], spool.Result{Into: spool.Bounced})...)
	if err := s.Unclaim(t.Context(), claims...); err != nil {
		t.Fatal(err)
	}
	if got := late(10, spool.Deadlines{Delay: delay, End: end}); got != "wait too" {
		t.Errorf("then: %q", got)
	}
}
