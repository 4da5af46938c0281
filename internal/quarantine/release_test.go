package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/spool"
)

func TestMTARefusesOne(t *testing.T) {
	w := newWorld(t)
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("550 no such user")}
	id := w.hold(t, "one", "b@gmail.com", "c@other.example")
	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"})
	if err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("error %v", err)
	}
	if got := w.states(t, id); got != "held delivered" {
		t.Error(got)
	}
}

func TestReleaseByHand(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com", "c@other.example")

	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"})
	if !errors.Is(err, ErrWouldBeRefused) || w.states(t, id) != "held held" {
		t.Fatalf("%v, %s", err, w.states(t, id))
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"c@other.example"}, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"c@other.example"}, Actor: "bob", Reason: "test"}); !errors.Is(err, ErrConflict) {
		t.Fatalf("released twice: %v", err)
	}
	released, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "they know", Anyway: true})
	if err != nil || len(released.Recipients) != 1 || released.Recipients[0].Answer != "2.0.0 queued as 4F2A" {
		t.Fatalf("%+v, %v", released, err)
	}
	if got := w.states(t, id); got != "delivered delivered" {
		t.Error(got)
	}
}

// Whoever moves a message first has it; the other is told.
func TestTwoReviewers(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	w.mta.during = func() {
		w.mta.during = nil
		if err := w.Discard(t.Context(), Request{ID: id, Actor: "bob", Reason: "spam"}); !errors.Is(err, ErrConflict) {
			t.Errorf("discard during a release: %v", err)
		}
		if _, err := w.Release(t.Context(), Request{ID: id, Actor: "bob", Reason: "x"}); !errors.Is(err, ErrConflict) {
			t.Errorf("release during a release: %v", err)
		}
	}
	if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if len(w.mta.got) != 1 {
		t.Errorf("sent %d times", len(w.mta.got))
	}
}

func TestForgedToken(t *testing.T) {
	w := newWorld(t)
	if id, ok, err := w.Redeem(t.Context(), "nonsense"); ok || err != nil {
		t.Errorf("%q, %v, %v", id, ok, err)
	}
}

// Whoever asked for a release may go away: once the next server has it, it is
// recorded, and not sent again.
func TestCancelledReleaseGoesOn(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	ctx, cancel := context.WithCancel(t.Context())
	w.mta.during = cancel
	if _, err := w.Release(ctx, Request{ID: id, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if w.states(t, id) != "delivered" || len(w.mta.got) != 1 {
		t.Errorf("%s, sent %d times", w.states(t, id), len(w.mta.got))
	}
}

// What the next server took is recorded as delivered, however long the disk takes: it
// would be sent again after the next start.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		id := w.hold(t, "one", "b@gmail.com")
		w.Quarantine.store = moves{w.store, func(m spool.Move) {
			if m.Into == spool.Delivered {
				time.Sleep(time.Hour)
			}
		}}
		if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"}); err != nil {
			t.Error(err)
		}
		if got := w.states(t, id); got != "delivered" {
			t.Error(got)
		}
	})
}

// The review log tells a release against the verdict from others.
func TestAnywayIsLogged(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "they know", Anyway: true}); err != nil {
		t.Fatal(err)
	}
	d, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if e := d.Log[1]; e.Verdict != "refuse" || e.Reason != "anyway: they know" || fmt.Sprint(e.Codes) != "[dkim-missing]" {
		t.Errorf("%+v", e)
	}
}

func TestWaitingIsNotRefused(t *testing.T) {
	w := newWorld(t)
	w.judge.keepWaiting("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"})
	if !errors.Is(err, ErrWaiting) || errors.Is(err, ErrWouldBeRefused) {
		t.Error(err)
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"zed@gmail.com"}, Reason: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a recipient it never had: %v", err)
	}
}

// A stop waits for the release under way and begins no other.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	first, second := w.hold(t, "one", "b@gmail.com"), w.hold(t, "two", "c@gmail.com")
	drained := make(chan struct{})
	w.mta.during = func() {
		w.mta.during = nil
		go func() {
			w.Drain(time.Minute)
			close(drained)
		}()
		for w.releases.begin() { // until the drain has begun
			w.releases.done()
			time.Sleep(time.Millisecond)
		}
		select {
		case <-drained:
			t.Error("the drain didn't wait for the release under way")
		default:
		}
	}
	if _, err := w.Release(t.Context(), Request{ID: first, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	<-drained
	if _, err := w.Release(t.Context(), Request{ID: second, Actor: "ann", Reason: "x"}); !errors.Is(err, ErrStopping) {
		t.Errorf("released while stopping: %v", err)
	}
	if got := w.states(t, first) + ", " + w.states(t, second); got != "delivered, held" {
		t.Error(got)
	}
}
