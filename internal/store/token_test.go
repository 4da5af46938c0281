package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/spool"
)

func TestTokens(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, message(t, "a@gmail.com"), "x")
	for i := range byte(3) {
		if err := s.IssueToken(t.Context(), id, [32]byte{i}, c.Now().Add(time.Duration(i+1)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	redeem := func(i byte, want error) {
		t.Helper()
		got, err := s.RedeemToken(t.Context(), [32]byte{i})
		if !errors.Is(err, want) || (want == nil) != (got == id) {
			t.Errorf("token %d: %q, %v", i, got, err)
		}
	}
	redeem(0, nil)
	redeem(0, spool.ErrNotFound)
	redeem(9, spool.ErrNotFound)
	c.add(2 * time.Minute)
	redeem(1, spool.ErrNotFound) // expires at this very moment
	redeem(2, nil)
	if err := s.IssueToken(t.Context(), id, [32]byte{7}, c.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT count(*) FROM tokens"); n != 1 {
		t.Errorf("%d tokens kept, want 1: the expired go", n)
	}
}

// A token of no message is for mail of our own; one of an unknown message isn't issued.
func TestTokenOfNoMessage(t *testing.T) {
	s := fresh(t, Options{})
	if err := s.IssueToken(t.Context(), "", [32]byte{1}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if id, err := s.RedeemToken(t.Context(), [32]byte{1}); id != "" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if id, err := s.RedeemToken(t.Context(), [32]byte{1}); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("a second time: %q, %v", id, err)
	}
	if err := s.IssueToken(t.Context(), "zzzzz", [32]byte{2}, time.Now().Add(time.Hour)); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("of an unknown message: %v", err)
	}
}

func TestTokenRace(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "a@gmail.com"), "x")
	if err := s.IssueToken(t.Context(), id, [32]byte{1}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.RedeemToken(t.Context(), [32]byte{1}); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("redeemed %d times", won.Load())
	}
}
