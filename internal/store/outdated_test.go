package store

import (
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestTrimRefusesTampered: a log that isn't right stays as it is, and so does what
// shows that.
func TestTrimRefusesTampered(t *testing.T) {
	for name, change := range map[string]string{
		"changed": "UPDATE review_log SET actor = 'somebody else' WHERE n = 2",
		"removed": "DELETE FROM review_log WHERE n = 3",
		"last":    "UPDATE review_log SET hash = zeroblob(32) WHERE n = 4",
		"base":    "UPDATE review_log_base SET hash = randomblob(32)",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := fresh(t, Options{Now: c.Now})
			for range 3 {
				move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
				c.add(time.Hour)
			}
			before := c.Now().Add(-90 * time.Minute)
			raw(t, s, "DROP TRIGGER review_log_unchanged", "DROP TRIGGER review_log_kept", "DROP TRIGGER review_log_base_moved", change)
			_, want := s.VerifyLog(t.Context())
			if n, err := s.Trim(t.Context(), before); n != 0 || !errors.Is(err, spool.ErrLog) {
				t.Errorf("Trim = %d, %v", n, err)
			}
			if _, err := s.VerifyLog(t.Context()); err == nil || err.Error() != want.Error() {
				t.Errorf("VerifyLog = %v, want %v", err, want)
			}
		})
	}
}

// TestTrimHeldBack: the message that keeps the log is named, once a day.
func TestTrimHeldBack(t *testing.T) {
	const day = 24 * time.Hour
	c := newClock()
	var log strings.Builder
	s := fresh(t, Options{Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	open := take(t, s, message(t, "a@gmail.com"), "x")
	move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	c.add(3 * day)
	trim := func(want int64, told int) {
		t.Helper()
		log.Reset()
		if n, err := s.Trim(t.Context(), c.Now().Add(-2*day)); n != want || err != nil {
			t.Errorf("Trim = %d, %v; want %d", n, err, want)
		}
		if got := strings.Count(log.String(), "keeps the review log"); got != told || told > 0 && !strings.Contains(log.String(), "id="+open) {
			t.Errorf("told %d times, want %d: %s", got, told, log.String())
		}
	}
	trim(2, 1)
	trim(0, 0)
	c.add(day)
	trim(0, 1)
	c.add(day)
	move(t, s, open, spool.Held, spool.Discarded)
	trim(3, 0) // up to what is young: that it was discarded
}

// TestTrimYoungHeldBack: what isn't old yet is no reason to tell.
func TestTrimYoungHeldBack(t *testing.T) {
	c := newClock()
	var log strings.Builder
	s := fresh(t, Options{Now: c.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	take(t, s, message(t, "a@gmail.com"), "x")
	if n, err := s.Trim(t.Context(), c.Now()); n != 0 || err != nil || log.Len() > 0 {
		t.Errorf("Trim = %d, %v: %s", n, err, log.String())
	}
}

// TestTrimIdle: while the log stays, messages aren't looked at again and again.
func TestTrimIdle(t *testing.T) {
	c := newClock()
	looks := 0
	s := fresh(t, Options{Now: c.Now, CrashPoint: func(name string) {
		if name == "trim-messages" {
			looks++
		}
	}})
	open := take(t, s, message(t, "a@gmail.com"), "x")
	for range trimMessages + 1 {
		move(t, s, take(t, s, message(t, "a@gmail.com"), "x"), spool.Held, spool.Discarded)
	}
	before := c.add(time.Hour)
	trim := func(want int) {
		t.Helper()
		looks = 0
		if _, err := s.Trim(t.Context(), before); err != nil || looks != want {
			t.Errorf("%d looks at messages, want %d; %v", looks, want, err)
		}
	}
	trim(3)
	trim(0)
	move(t, s, open, spool.Held, spool.Discarded)
	before = c.add(time.Hour)
	trim(3)
	if n := count(t, s, "SELECT count(*) FROM messages"); n != 0 {
		t.Errorf("%d messages left", n)
	}
	trim(0)
}

// TestSpentByIndex: messages that finished at one moment cost no more than others.
func TestSpentByIndex(t *testing.T) {
	s := fresh(t, Options{})
	plan := planOf(t, s.read, selectSpent, 1, 1, 1, 9, 1)
	if !strings.Contains(plan, "messages_to_trim (finished=? AND rowid>?)") || strings.Contains(plan, "B-TREE") {
		t.Errorf("plan %q", plan)
	}
}

// planOf is how SQLite goes about a query.
func planOf(t *testing.T, db asker, query string, args ...any) string {
	t.Helper()
	var plan []string
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(new(int), new(int), new(int), &text)
		plan = append(plan, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}
