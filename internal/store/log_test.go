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
		"UPDATE review_log_head SET n = 1, hash = (SELECT hash FROM review_log WHERE n = 1)", "UPDATE review_log_head SET n = 3",
		"DELETE FROM review_log_head", "REPLACE INTO review_log_head VALUES (1, 1, zeroblob(32))",
	} {
		err := s.update(t.Context(), "test", 0, func(b *batch) error { return b.exec(sql) })
		if err == nil || !strings.Contains(err.Error(), "only appended to") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"UPDATE review_log_base SET n = 1, hash = (SELECT hash FROM review_log WHERE n = 1)", "UPDATE review_log_base SET n = 2",
		"DELETE FROM review_log_base", "REPLACE INTO review_log_base VALUES (1, 1, zeroblob(32))", "INSERT INTO review_log_base VALUES (2, 1, zeroblob(32))",
	} {
		err := s.update(t.Context(), "test", 0, func(b *batch) error { return b.exec(sql) })
		if err == nil || !strings.Contains(err.Error(), "only with an entry that says so") && !strings.Contains(err.Error(), "CHECK") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	verify(t, s, 2)
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
		{spool.LogFilter{Actor: "LEAS"}, "5 4"},
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
