package quarantine

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Who comes too late is told who was first.
func TestLosersAreTold(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com", "c@other.example")
	if err := w.Discard(t.Context(), Request{ID: id, To: []string{"b@gmail.com"}, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	w.later = 3*time.Minute + time.Second
	const want = "<b@gmail.com> was moved to discarded by ann 3 min ago"
	_, err := w.Release(t.Context(), Request{ID: id, To: []string{"b@gmail.com"}, Actor: "bob", Reason: "x"})
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	err = w.Discard(t.Context(), Request{ID: id, To: []string{"b@gmail.com"}, Actor: "bob", Reason: "x"})
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// The same when the other is first by a hair.
func TestLoserOfARace(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	w.judge.during = func() {
		if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
			t.Error(err)
		}
	}
	_, err := w.Release(t.Context(), Request{ID: id, Actor: "bob", Reason: "x"})
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "<b@gmail.com> was moved to discarded by ann 0 s ago") {
		t.Errorf("%v", err)
	}
}

func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 3 * time.Second: "3 s", 119 * time.Second: "119 s", 5 * time.Minute: "5 min",
		3 * time.Hour: "3 h", 50 * time.Hour: "2 days",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestCrashPoints(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	var got []string
	w.o.CrashPoint = func(name string) { got = append(got, name+": "+w.states(t, id)) }
	if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, ", "); s != "release-claimed: queued, release-sent: queued, release-settled: delivered" {
		t.Error(s)
	}
}
