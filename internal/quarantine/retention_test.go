package quarantine

import (
	"errors"
	"testing"
	"time"
)

func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	held := w.hold(t, "two", "b@gmail.com") // the log goes up to the first entry of what is held
	w.later = 1000 * day
	w.retain(t.Context())
	if _, err := w.Raw(t.Context(), id); err != nil {
		t.Fatalf("kept for ever: %v", err)
	}
	w.policy.KeepBodies, w.policy.KeepLog = 7*day, 30*day
	w.later = 6 * day
	w.retain(t.Context())
	if _, err := w.Raw(t.Context(), id); err != nil {
		t.Fatalf("gone too early: %v", err)
	}
	w.later = 8 * day
	w.retain(t.Context())
	if _, err := w.Raw(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("body still there: %v", err)
	}
	if got := w.actions(t, id); got != "hold discard" {
		t.Errorf("log: %s", got)
	}
	w.later = 31 * day
	w.retain(t.Context())
	if got := w.actions(t, id); got != "" {
		t.Errorf("log after its time: %s", got)
	}
	if _, err := w.Raw(t.Context(), held); err != nil || w.states(t, held) != "held" {
		t.Errorf("what is held stays: %v", err)
	}
	if chain, err := w.store.VerifyLog(t.Context()); err != nil || chain.Trimmed == 0 {
		t.Errorf("%+v, %v", chain, err)
	}
}

// While the store is full, bodies of finished messages go before their time, the
// oldest first, and no more of them than it takes.
func TestFullStoreForgetsSooner(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	w.policy.KeepBodies, w.policy.KeepLog = 7*day, 30*day
	held := w.hold(t, "held", "b@gmail.com")
	var ids []string
	for range 3 {
		id := w.hold(t, "one", "b@gmail.com")
		if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		w.later += 2 * day
	}
	there := func() (n int) {
		for _, id := range ids {
			if _, err := w.Raw(t.Context(), id); err == nil {
				n++
			}
		}
		return n
	}
	asked, full := 0, 0
	w.o.Full = func() bool { asked++; return asked <= full }
	for _, test := range []struct{ full, want int }{{0, 3}, {1, 1}, {100, 0}} { // finished 6, 4 and 2 days ago; 7/2 days first
		asked, full = 0, test.full
		w.retain(t.Context())
		if got := there(); got != test.want {
			t.Errorf("full for %d looks: %d bodies, want %d", test.full, got, test.want)
		}
	}
	if _, err := w.Raw(t.Context(), held); err != nil {
		t.Errorf("what is held stays: %v", err)
	}
	if got := w.actions(t, ids[0]); got != "hold discard" {
		t.Errorf("log: %s", got)
	}
	w.policy.KeepBodies, w.policy.KeepLog = 0, 0
	asked = 0
	if w.retain(t.Context()); asked != 0 {
		t.Error("what is kept for ever doesn't go")
	}
}

// A body never outlives what is known of its message.
func TestShorter(t *testing.T) {
	for _, test := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {1, 0, 1}, {0, 1, 1}, {1, 2, 1}, {2, 1, 1}} {
		if got := shorter(test.a, test.b); got != test.want {
			t.Errorf("shorter(%d, %d) = %d", test.a, test.b, got)
		}
	}
}

// TestTrimSeldom: the log's own retention doesn't fill the log.
func TestTrimSeldom(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		keep, step time.Duration
		steps      int
		trims      int
	}{
		{30 * day, time.Hour, 3 * 24, 3},
		{100 * time.Minute, time.Minute, 100, 10},
	} {
		w := newWorld(t)
		w.policy.KeepLog = test.keep
		w.later = 2 * test.keep
		trims := 0
		for i := range test.steps {
			if i%2 == 0 {
				id := w.hold(t, "one", "b@gmail.com")
				if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := w.store.VerifyLog(t.Context())
			w.retain(t.Context())
			if after, err := w.store.VerifyLog(t.Context()); err != nil {
				t.Fatal(err)
			} else if after.Trimmed > before.Trimmed {
				trims++
			}
			w.later += test.step
		}
		if trims != test.trims {
			t.Errorf("keep_log %v: trimmed %d times in %v, want %d", test.keep, trims, time.Duration(test.steps)*test.step, test.trims)
		}
	}
}

// TestTrimAfterClockAhead: a mark set by a clock that was ahead doesn't end retention.
func TestTrimAfterClockAhead(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetMark(t.Context(), markTrimmed, time.Now().Add(10000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.policy.KeepLog, w.later = time.Hour, 2*time.Hour
	w.retain(t.Context())
	if got := w.actions(t, id); got != "" {
		t.Errorf("log after its time: %s", got)
	}
}
