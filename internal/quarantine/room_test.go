package quarantine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// sendOn is a turn that DNS isn't asked at.
func (w *world) sendOn(t *testing.T) Rechecked {
	t.Helper()
	groups, err := w.store.HeldGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var s sum
	order, of := byIdentity(groups)
	for _, id := range order {
		if err := w.check(t.Context(), id, of[id], false, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s.get()
}

// After an outage of DNS mail whose provider isn't known yet leaves at its pace, and
// no turn reads more than it needs: with DNS asked each message once, between that
// no more than the page that leaves and one that doesn't.
func TestTurnsWithoutProvider(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	const n, rate = 2*groupPage + 50, 60
	w.policy.ReleaseRate = rate
	w.judge.keepWaiting("silent.example")
	w.holdMany(t, n, "b@silent.example")
	w.turn(t)
	w.judge.pass("silent.example")
	burst := burstOf(rate)
	c.gets.Store(0)
	if s := w.turn(t); s.Released != burst || c.gets.Load() > int64(n+burst+1) {
		t.Errorf("DNS asked: %d released, %d messages read; want %d and at most %d", s.Released, c.gets.Load(), burst, n+burst+1)
	}
	for range 3 {
		w.later += pause(rate)
		c.gets.Store(0)
		if s := w.sendOn(t); s.Released != burst || c.gets.Load() > 2*groupPage+1 {
			t.Errorf("between: %d released, %d messages read; want %d and at most %d", s.Released, c.gets.Load(), burst, 2*groupPage+1)
		}
	}
}

// Between checks of DNS nothing is judged anew but what leaves.
func TestSendingOnChangesNoVerdict(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	w.sendOn(t)
	if got := w.actions(t, id); got != "hold" {
		t.Errorf("log: %s", got)
	}
	w.judge.pass("gmail.com")
	if s := w.sendOn(t); s.Released != 1 {
		t.Errorf("%+v", s)
	}
}

// What passes has its provider taken down: the rate of that provider is kept, and
// from then on one verdict decides for all.
func TestProviderOfWhatPasses(t *testing.T) {
	w := newWorld(t)
	w.policy.ReleaseRate = 60
	var ids []string
	for range 20 {
		ids = append(ids, w.holdAs(t, "a@hosted.example", preflight.UnknownProvider))
	}
	passing := accepted
	passing.Prediction.Provider = preflight.Google
	w.judge.set("hosted.example", passing)
	groups, err := w.store.HeldGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	way := &walk{q: w.Quarantine, sum: &sum{}, afresh: true}
	if err := w.checkGroups(t.Context(), groups, way); err != nil {
		t.Fatal(err)
	}
	last, err := w.store.Get(t.Context(), ids[19])
	if err != nil {
		t.Fatal(err)
	}
	r := last.Recipients[0]
	if r.Provider != string(preflight.Google) || r.Reason != spool.Refused || r.State != spool.Held || !way.crowded[keyOf(last, r)] {
		t.Errorf("%+v; for want of room: %v", r, way.crowded)
	}
	if w.pace.wait(60, []string{"google"}, w.o.Now()) == 0 || w.pace.wait(60, []string{"@hosted.example"}, w.o.Now()) > 0 {
		t.Error("the wrong destination's rate was used")
	}
	w.judge.memory = 0
	w.policy.AutoRelease = false
	if s := w.turn(t); s.Passing != 14 || w.judge.memory != 0 {
		t.Errorf("%+v, %d judged one by one", s, w.judge.memory)
	}
	if got := w.actions(t, ids[19]); got != "hold assess" {
		t.Errorf("log: %s", got)
	}
}

// What was found of mail without a known provider is what a list says of it: for
// each domain by itself.
func TestListWithoutProvider(t *testing.T) {
	w := newWorld(t)
	w.policy.AutoRelease = false
	w.judge.keepWaiting("silent.example")
	w.judge.keepWaiting("dead.example")
	w.hold(t, "one", "b@silent.example")
	w.holdAs(t, "b@dead.example", preflight.UnknownProvider)
	w.turn(t)
	w.judge.pass("silent.example")
	w.turn(t)
	page, err := w.List(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range page.Messages {
		got = append(got, fmt.Sprintf("%s %s", m.Recipients[0].Address, m.Now))
	}
	if s := strings.Join(got, ", "); s != "b@dead.example unknown, b@silent.example pass" {
		t.Error(s)
	}
	w.judge.set("dead.example", gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseForeign})
	w.judge.set("silent.example", gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseForeign})
	w.turn(t)
	w.later = time.Hour
	w.turn(t) // as before
	page, err = w.List(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page.Messages {
		if m.Now != "foreign" || !m.Checked.Equal(w.o.Now()) {
			t.Errorf("%s, checked %v", m.Now, m.Checked)
		}
	}
}
