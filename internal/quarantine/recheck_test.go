package quarantine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

func TestRecheckReleasesWhatPasses(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	first := w.hold(t, "one", "b@gmail.com", "c@other.example")
	second := w.hold(t, "two", "b@gmail.com")

	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || sum.Recipients != 3 || sum.Passing != 1 || sum.Refused != 2 || sum.Released != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, first) + ", " + w.states(t, second); got != "held delivered, held" {
		t.Fatal(got)
	}
	delete(w.judge.verdicts, "gmail.com") // DNS is mended
	if sum, err = w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil || sum.Released != 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
	want := []string{"c@other.example: one", "b@gmail.com: one", "b@gmail.com: two"} // oldest first
	if fmt.Sprint(w.mta.got) != fmt.Sprint(want) {
		t.Errorf("the MTA got %q", w.mta.got)
	}
	if got := w.actions(t, second); got != "hold assess release deliver" {
		t.Errorf("log: %s", got)
	}
	if w.judge.afresh != 2 {
		t.Errorf("DNS asked afresh %d times, want once for the identity at each re-check", w.judge.afresh)
	}
}

func TestWithoutAutoReleaseNothingLeaves(t *testing.T) {
	w := newWorld(t)
	w.policy = Policy{}
	id := w.hold(t, "one", "b@gmail.com")
	if sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil || sum.Released != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, id); got != "held" {
		t.Error(got)
	}
}

func TestRecheckTellsWaitingFromRefused(t *testing.T) {
	w := newWorld(t)
	w.judge.keepWaiting("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	counts, err := w.Counts(t.Context())
	if err != nil || counts.Waiting != 1 || counts.Refused != 0 {
		t.Fatalf("%+v, %v", counts, err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, id); got != "hold assess" {
		t.Errorf("log: %s; an unchanged verdict is not news", got)
	}
}

// TestRecheckCountsApart: who has no key here isn't who would be refused.
func TestRecheckCountsApart(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	w.judge.keepWaiting("yahoo.com")
	w.judge.set("other.example", gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseForeign})
	for i, to := range []string{"a@gmail.com", "b@yahoo.com", "c@other.example", "d@passing.example"} {
		w.holdFrom(t, fmt.Sprintf("ann@%d.example", i), to)
	}
	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	want := Rechecked{Identities: 4, Done: 4, Recipients: 4, Passing: 1, Refused: 1, Foreign: 1, Waiting: 1, Released: 1, AutoRelease: true}
	if err != nil || sum != want {
		t.Errorf("%+v, %v; want %+v", sum, err, want)
	}
}

func TestMTAAway(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	w.mta.away = errors.New("connection refused")
	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || sum.Failed != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, id); got != "held" {
		t.Fatal(got)
	}
	w.mta.away = nil
	w.later = 2 * time.Minute
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, id); got != "hold release requeue release deliver" {
		t.Errorf("log: %s", got)
	}
}

// A stop between release and delivery: the message is held again and goes out at
// the next re-check.
func TestInterruptedReleaseIsResumed(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.store.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Queued, Actor: "recheck"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.states(t, id); got != "held" {
		t.Fatal(got)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.states(t, id); got != "delivered" {
		t.Error(got)
	}
}

// What is in the relay's queue was not interrupted: it stays there.
func TestResumeLeavesTheRelaysQueue(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "a@gmail.com", "b@gmail.com")
	for to, next := range map[string]time.Time{"a@gmail.com": w.o.Now(), "b@gmail.com": {}} {
		err := w.store.Move(t.Context(), spool.Move{ID: id, To: []mail.Address{path(t, to)}, From: spool.Held, Into: spool.Queued, Next: next})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.states(t, id); got != "queued held" {
		t.Error(got)
	}
}

// One message the next server never takes doesn't keep the others, and isn't tried
// at every re-check.
func TestRefusedMessageDoesNotBlock(t *testing.T) {
	w := newWorld(t)
	bad, good := w.hold(t, "one", "b@gmail.com"), w.hold(t, "two", "c@gmail.com")
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("552 too large")}
	for range 3 {
		w.turn(t)
	}
	if got := w.states(t, bad) + ", " + w.states(t, good); got != "held, delivered" {
		t.Error(got)
	}
	if got := w.actions(t, bad); got != "hold release requeue" {
		t.Errorf("log: %s; want one try", got)
	}
	w.later = 2 * time.Minute
	w.turn(t)
	if got := w.actions(t, bad); got != "hold release requeue release requeue" {
		t.Errorf("log: %s; want another try after a while", got)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{IDs: []string{bad}}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, bad); got != "hold release requeue release requeue release requeue" {
		t.Errorf("log: %s; want a try at once when somebody asks for it", got)
	}
}

func TestPatience(t *testing.T) {
	var p patience
	now := time.Now()
	var waits []string
	for range 6 {
		waits = append(waits, p.failed("a", identity{}, now).String())
	}
	if got := strings.Join(waits, " "); got != "1m0s 2m0s 4m0s 8m0s 15m0s 15m0s" {
		t.Error(got)
	}
	if !p.tooEarly("a", now.Add(time.Minute)) || p.tooEarly("a", now.Add(time.Hour)) || p.tooEarly("b", now) {
		t.Error("waits for the wrong one, or for too long")
	}
}

// A list shows today's finding, not the one of the day it was held.
func TestChangedFindingIsStored(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com") // held without a code
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	page, err := w.List(t.Context(), Query{Code: "dkim-missing"})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].ID != id {
		t.Errorf("%+v, %v", page, err)
	}
}
