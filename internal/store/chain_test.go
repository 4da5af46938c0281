package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// guards are the triggers that keep the log; a tamperer does without.
var guards = [...]string{
	"review_log_appended", "review_log_unchanged", "review_log_kept",
	"review_log_base_moved", "review_log_base_kept", "review_log_base_one",
	"review_log_head_moved", "review_log_head_kept", "review_log_head_one",
}

// tamper runs SQL behind the triggers' back, of which no one is to be left over.
func tamper(t testing.TB, s *Store, change string) {
	t.Helper()
	for _, g := range guards {
		raw(t, s, "DROP TRIGGER "+g)
	}
	if n := count(t, s, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name LIKE 'review_log%'"); n != 0 {
		t.Fatalf("%d triggers of the log that the tests don't know", n)
	}
	raw(t, s, strings.Split(change, "; ")...)
}

// TestVerifyLog: what was changed behind the triggers' back is found, in a log
// that begins with its first entry (1 to 8) and in one that was trimmed (5 to 9).
func TestVerifyLog(t *testing.T) {
	const copied = "INSERT INTO review_log SELECT %s, time, id, local, domain, action, from_state, into_state, before, after, 'mallory', reason, codes, place, %s FROM review_log WHERE n = 6"
	for name, c := range map[string]struct{ change, want string }{
		"actor":      {"UPDATE review_log SET actor = 'mallory' WHERE n = 6", "entry 6 was changed"},
		"hash":       {"UPDATE review_log SET hash = zeroblob(32) WHERE n = 6", "entry 6 was changed"},
		"first":      {"DELETE FROM review_log WHERE n = (SELECT min(n) FROM review_log)", "is missing"},
		"middle":     {"DELETE FROM review_log WHERE n = 6", "entry 6 is missing"},
		"last":       {"DELETE FROM review_log WHERE n = (SELECT max(n) FROM review_log)", "is missing: the log ended with"},
		"last two":   {"DELETE FROM review_log WHERE n >= (SELECT max(n) - 1 FROM review_log)", "is missing: the log ended with"},
		"all":        {"DELETE FROM review_log", "is missing: the log ended with"},
		"swapped":    {"UPDATE review_log SET local = CASE local WHEN 'a' THEN 'b' ELSE 'a' END WHERE n IN (5, 6)", "entry 5 was changed"},
		"reordered":  {"UPDATE review_log SET n = -1 WHERE n = 5; UPDATE review_log SET n = 5 WHERE n = 6; UPDATE review_log SET n = 6 WHERE n = -1", "entry 5 was changed"},
		"renumbered": {"DELETE FROM review_log WHERE n = 6; UPDATE review_log SET n = 6 WHERE n = 7; UPDATE review_log SET n = 7 WHERE n = 8; UPDATE review_log SET n = 8 WHERE n = 9", "entry 6 was changed"},
		"inserted": {"UPDATE review_log SET n = n + 101 WHERE n >= 6; UPDATE review_log SET n = n - 100 WHERE n > 100; " +
			strings.Replace(fmt.Sprintf(copied, "6", "hash"), "WHERE n = 6", "WHERE n = 7", 1), "entry 6 was changed"},
		"appended":      {fmt.Sprintf(copied, "(SELECT max(n) + 1 FROM review_log)", "hash"), "was changed"},
		"base forward":  {"UPDATE review_log_base SET n = 6, hash = (SELECT hash FROM review_log WHERE n = 6)", "entry 1 is missing"},
		"prefix":        {"UPDATE review_log_base SET n = 6, hash = (SELECT hash FROM review_log WHERE n = 6); DELETE FROM review_log WHERE n <= 6", "entry 1 is missing"},
		"base number":   {"UPDATE review_log_base SET n = n + 1", "is missing"},
		"base hash":     {"UPDATE review_log_base SET hash = randomblob(32)", "was changed"},
		"base gone":     {"DELETE FROM review_log_base", "not known"},
		"head back":     {"UPDATE review_log_head SET n = n - 1, hash = (SELECT hash FROM review_log WHERE n = review_log_head.n - 1)", "added by another program"},
		"head number":   {"UPDATE review_log_head SET n = n + 1", "is missing: the log ended with"},
		"head hash":     {"UPDATE review_log_head SET hash = randomblob(32)", "not the one that was written"},
		"head gone":     {"DELETE FROM review_log_head", "not known"},
		"head, last":    {"DELETE FROM review_log WHERE n = 7; UPDATE review_log_head SET n = 6, hash = (SELECT hash FROM review_log WHERE n = 6)", "7"},
		"trim entry":    {"UPDATE review_log SET action = 'trim' WHERE n = 8", "entry 8 was changed"},
		"trim's number": {"UPDATE review_log SET place = 'x' WHERE n = (SELECT max(n) FROM review_log)", "was changed"},
	} {
		for _, trimmed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/trimmed=%t", name, trimmed), func(t *testing.T) {
				s := chained(t, trimmed)
				if name == "base number" && !trimmed {
					c.want = "was changed" // of what was entry 1
				}
				if name == "base gone" {
					raw(t, s, "DROP TRIGGER review_log_base_kept", c.change)
				} else {
					tamper(t, s, c.change)
				}
				if chain, err := s.VerifyLog(t.Context()); !errors.Is(err, spool.ErrLog) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("VerifyLog = %+v, %v; want %q", chain, err, c.want)
				}
			})
		}
	}
}

// chained is a store whose log has the entries 1 to 8, or was trimmed to 5 to 9.
func chained(t *testing.T, trimmed bool) *Store {
	t.Helper()
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	move(t, s, id, spool.Held, spool.Discarded)
	middle := c.add(time.Hour)
	take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	want := spool.Chain{First: 1, Last: 8}
	if trimmed {
		fourth, err := s.Log(t.Context(), spool.LogFilter{After: 3, OldestFirst: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Trim(t.Context(), middle); n != 4 || err != nil {
			t.Fatalf("Trim = %d, %v", n, err)
		}
		want = spool.Chain{First: 5, Last: 9, Trimmed: 4, Base: fourth[0].Hash}
	}
	got, err := s.VerifyLog(t.Context())
	if got.Head = [32]byte{}; got != want || err != nil {
		t.Fatalf("VerifyLog = %+v, %v; want %+v", got, err, want)
	}
	return s
}

func move(t testing.TB, s *Store, id string, from, into spool.State) {
	t.Helper()
	if err := s.Move(t.Context(), spool.Move{ID: id, From: from, Into: into, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
}

// TestLostEndStaysLost: entries removed at the end are missed for good, although
// others are written after them, and the store says so when it starts.
func TestLostEndStaysLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "a@gmail.com", "b@gmail.com", "c@gmail.com"), "x")
	raw(t, s, "DROP TRIGGER review_log_kept", "DELETE FROM review_log WHERE n = 3")
	s.Close()
	var log bytes.Buffer
	s = open(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		take(t, s, message(t, "a@gmail.com"), "x")
		if chain, err := s.VerifyLog(t.Context()); !errors.Is(err, spool.ErrLog) || !strings.Contains(err.Error(), "entry 3 is not the one") || chain.Last != 2 {
			t.Errorf("VerifyLog = %+v, %v", chain, err)
		}
	}
	if n := strings.Count(log.String(), "does not end as it was written"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

// TestHeadRolledBack: an operation that is undone leaves the head where it was.
func TestHeadRolledBack(t *testing.T) {
	s := fresh(t, Options{})
	take(t, s, message(t, "a@gmail.com"), "x")
	err := s.update(t.Context(), "test", 0, func(b *batch) error {
		if err := b.log(spool.LogEntry{Action: spool.ActionHold}); err != nil {
			return err
		}
		return errors.New("undone")
	})
	if err == nil {
		t.Fatal("no error")
	}
	verify(t, s, 1)
	take(t, s, message(t, "a@gmail.com"), "x")
	verify(t, s, 2)
}
