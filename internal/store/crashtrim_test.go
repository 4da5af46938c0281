package store

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestCrashTrim kills a process that closes and trims, at every point of it and at
// random moments. What was not closed must be there, and all must be sound.
func TestCrashTrim(t *testing.T) {
	if path, isChild := childDB(); isChild {
		trimChild(t, path)
		return
	}
	l := newLedger(filepath.Join(t.TempDir(), "mailgate.db"))
	l.test = "TestCrashTrim"
	var kills []string
	for _, point := range []string{"mark", "trim", "trim-log", "trim-messages", "sweep", "shrink", "before-checkpoint"} {
		kills = append(kills, pointEnv+"="+point+" "+strconv.Itoa(rand.IntN(3)))
	}
	for range killsEach {
		kills = append(kills, lineEnv+"="+strconv.Itoa(rand.IntN(40)))
	}
	trimmed := int64(0)
	for _, kill := range kills {
		l.run(t, kill)
		s := open(t, l.path, Options{})
		for id := range l.taken {
			if _, err := s.Get(t.Context(), id); err != nil {
				t.Errorf("%s: %s was open and is gone: %v", kill, id, err)
			}
		}
		chain, err := s.VerifyLog(t.Context())
		if err != nil || chain.Trimmed < trimmed {
			t.Errorf("%s: %+v, %v", kill, chain, err)
		}
		trimmed = chain.Trimmed
		sound(t, s)
		s.Close()
	}
	if trimmed == 0 {
		t.Error("nothing was ever trimmed")
	}
}

// trimChild takes and closes messages and trims at once what it can.
func trimChild(t *testing.T, path string) {
	s := open(t, path, Options{CrashPoint: crashPoint()})
	if err := s.update(t.Context(), "test", 0, func(b *batch) error { b.w.every = 1 << 20; return nil }); err != nil {
		t.Fatal(err)
	}
	left, err := s.List(t.Context(), spool.Filter{States: []spool.State{spool.Held}})
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, m := range left {
		open = append(open, m.ID)
	}
	for range lives {
		m := message(t, "a@gmail.com", "b@gmail.com")
		m.Evidence = fmt.Append(nil, rand.IntN(4))
		open = append(open, take(t, s, m, string(crashBody())))
		tell("taken %s x", m.ID)
		if len(open) < 5 {
			continue
		}
		for _, id := range open {
			tell("closing %s", id)
			move(t, s, id, spool.Held, spool.Discarded)
		}
		open = nil
		if _, err := s.Trim(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.SetMark(t.Context(), "trimmed", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}
