package store

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// set has the clock show a time.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// TestClockOnceAhead: a clock that was years ahead for a moment leaves nothing held
// for ever, neither the message of that moment nor those after it.
func TestClockOnceAhead(t *testing.T) {
	const day = 24 * time.Hour
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	begin := c.Now()
	var ids []string
	for _, at := range []time.Duration{0, 50 * 365 * day, day, 2 * day, 3 * day} {
		c.set(begin.Add(at))
		ids = append(ids, take(t, s, message(t, "a@gmail.com"), "x"))
	}
	for _, test := range []struct {
		now, before time.Duration
		want        []string
	}{
		{10 * day, 0, nil},
		{10 * day, 12 * time.Hour, ids[:1]}, // of the second nobody knows yet
		{10 * day, 36 * time.Hour, ids[:3]},
		{10 * day, 4 * day, ids},
		{60 * 365 * day, 55 * 365 * day, ids},
	} {
		c.set(begin.Add(test.now))
		before := begin.Add(test.before)
		for name, find := range map[string]func() ([]string, error){
			"HeldBefore": func() ([]string, error) { return s.HeldBefore(t.Context(), before, "", 10) },
			"Unnoticed":  func() ([]string, error) { return s.Unnoticed(t.Context(), before, "", 10) },
		} {
			if got, err := find(); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%s of %v at %v = %v, %v; want %v", name, test.before, test.now, got, err, test.want)
			}
		}
	}
	c.set(begin.Add(10 * day))
	counts, err := s.NewHolds(t.Context(), begin.Add(36*time.Hour), begin.Add(5*day))
	if err != nil || len(counts) != 1 || counts[0].Recipients != 2 {
		t.Errorf("NewHolds = %+v, %v; want 2 recipients", counts, err)
	}
	list, err := s.List(t.Context(), spool.Filter{Since: begin.Add(60 * time.Hour)})
	if err != nil || len(list) != 1 || list[0].ID != ids[4] {
		t.Errorf("List since the third day: %d messages, %v", len(list), err)
	}
}

// TestClockAheadIsTold at the start, and only when it is so.
func TestClockAheadIsTold(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	take(t, s, message(t, "a@gmail.com"), "x")
	for _, test := range []struct {
		back time.Duration
		told bool
	}{{0, false}, {time.Second, false}, {time.Hour, true}} {
		s.Close()
		c.add(-test.back)
		var log strings.Builder
		s = open(t, s.path, Options{Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if told := strings.Contains(log.String(), "taken in the future"); told != test.told {
			t.Errorf("clock back by %v: %q", test.back, log.String())
		}
	}
}

// TestClockAheadInLog: entries written by a clock that was ahead don't keep the log,
// and go only with one after them that is old for certain.
func TestClockAheadInLog(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	begin := c.Now()
	for _, at := range []time.Duration{0, 50 * 365 * 24 * time.Hour, time.Hour, 2 * time.Hour} {
		c.set(begin.Add(at))
		move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	}
	c.set(begin.Add(48 * time.Hour))
	for _, test := range []struct {
		before time.Duration
		want   int64
	}{{time.Minute, 2}, {2 * time.Hour, 4}, {24 * time.Hour, 2}} {
		if n, err := s.Trim(t.Context(), begin.Add(test.before)); n != test.want || err != nil {
			t.Errorf("Trim before %v = %d, %v; want %d", test.before, n, err, test.want)
		}
	}
	sound(t, s)
}
