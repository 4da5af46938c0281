package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestLogIsAppendOnly: the database itself refuses to change the past, in every
// way SQL has for it.
func TestLogIsAppendOnly(t *testing.T) {
	s := fresh(t, Options{})
	take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	row := "SELECT %s, time, id, local, domain, action, from_state, into_state, before, after, 'mallory', reason, codes, place, hash FROM review_log WHERE n = 1"
	for _, sql := range []string{
		"UPDATE review_log SET actor = 'mallory'", "DELETE FROM review_log", "DELETE FROM review_log WHERE n = 2",
		"REPLACE INTO review_log " + fmt.Sprintf(row, "1"), "INSERT OR REPLACE INTO review_log " + fmt.Sprintf(row, "2"),
		"INSERT INTO review_log " + fmt.Sprintf(row, "9"), "INSERT INTO review_log " + fmt.Sprintf(row, "NULL"),
		"INSERT INTO review_log " + fmt.Sprintf(row, "1") + " ON CONFLICT DO UPDATE SET actor = 'mallory'",
	} {
		err := s.update(t.Context(), "test", 0, func(b *batch) error { return b.exec(sql) })
		if err == nil || !strings.Contains(err.Error(), "only appended to") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	verify(t, s, 2)
}

// TestVerifyLog: what was changed behind the triggers' back is found.
func TestVerifyLog(t *testing.T) {
	for name, change := range map[string]string{
		"actor":      "UPDATE review_log SET actor = 'mallory' WHERE n = 3",
		"hash":       "UPDATE review_log SET hash = zeroblob(32) WHERE n = 3",
		"removed":    "DELETE FROM review_log WHERE n = 3",
		"swapped":    "UPDATE review_log SET local = CASE local WHEN 'a' THEN 'b' ELSE 'a' END",
		"renumbered": "DELETE FROM review_log WHERE n = 3; UPDATE review_log SET n = 3 WHERE n = 4",
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, Options{})
			for range 2 {
				take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
			}
			verify(t, s, 4)
			raw(t, s, "DROP TRIGGER review_log_unchanged", "DROP TRIGGER review_log_kept")
			raw(t, s, strings.Split(change, "; ")...)
			if n, err := s.VerifyLog(t.Context()); err == nil {
				t.Errorf("nothing found wrong in %+v entries", n)
			}
		})
	}
}

func TestLogFilter(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	a := take(t, s, message(t, "a@gmail.com", "b@yahoo.com"), "x")
	start := c.add(time.Hour)
	b := take(t, s, message(t, "c@gmail.com"), "x")
	if err := s.Move(t.Context(), spool.Move{ID: a, From: spool.Held, Into: spool.Queued, Actor: "release"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    spool.LogFilter
		want string
	}{
		{spool.LogFilter{}, "5 4 3 2 1"},
		{spool.LogFilter{OldestFirst: true}, "1 2 3 4 5"},
		{spool.LogFilter{OldestFirst: true, After: 2, Limit: 2}, "3 4"},
		{spool.LogFilter{After: 4, Limit: 2}, "3 2"},
		{spool.LogFilter{ID: b}, "3"},
		{spool.LogFilter{Actor: "release"}, "5 4"},
		{spool.LogFilter{Action: spool.ActionHold}, "3 2 1"},
		{spool.LogFilter{Recipient: "GMAIL"}, "4 3 1"},
		{spool.LogFilter{Recipient: "%"}, ""},
		{spool.LogFilter{Since: start}, "5 4 3"},
		{spool.LogFilter{Until: start}, "2 1"},
	} {
		entries, err := s.Log(t.Context(), c.f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprint(e.N))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.f, got, c.want)
		}
	}
}
