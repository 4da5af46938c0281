package store

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/spool"
)

// TestCheckQueue: what is wrong with the queue is named.
func TestCheckQueue(t *testing.T) {
	for name, c := range map[string]struct{ change, step, want string }{
		"count":    {"UPDATE destinations SET queued = queued + 1", "tallies", `3 recipients are counted as queued for "other.example", and 2 are`},
		"gone":     {"DELETE FROM destinations", "tallies", `0 recipients are counted as queued for "other.example", and 2 are`},
		"too many": {"INSERT INTO destinations (domain, queued, first_due) VALUES ('x', 1, 1)", "tallies", `1 recipients are counted as queued for "x", and 0 are`},
		"due":      {"UPDATE destinations SET first_due = first_due + 1", "tallies", `when the first recipient queued for "other.example"`},
		"state":    {"UPDATE recipients SET state = 'held' WHERE local = 'b'", "states", "b@other.example is held, and its place in the queue"},
		"time":     {"UPDATE deliveries SET next = next + 1 WHERE n = 1", "states", "b@other.example is queued, and its place in the queue"},
		"domain":   {"UPDATE deliveries SET destination = 'x' WHERE n = 1", "states", `its place in the queue for "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, Options{})
			take(t, s, queued(t, s.o.Now(), "a@other.example", "b@other.example"), "x")
			outOfTransaction(t, s, c.change)
			got, err := Check(t.Context(), "sqlite:"+s.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(got.Faults, func(f Fault) bool { return f.Step == c.step && strings.Contains(f.Text, c.want) }) {
				t.Errorf("%+v, want %q", got.Faults, c.want)
			}
		})
	}
}

// TestQueueHasNoOthers: recipients that leave the queue leave its indexes.
func TestQueueHasNoOthers(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, queued(t, s.o.Now(), "a@gmail.com", "b@gmail.com"), "x")
	claim := one(t, s, "gmail.com")
	settled(t, s, claim, all(claim, spool.Result{Into: spool.Delivered})...)
	if n := count(t, s, "SELECT count(*) FROM deliveries WHERE due IS NOT NULL OR leased IS NOT NULL"); n != 0 {
		t.Errorf("%d are left", n)
	}
	if _, err := s.Trim(t.Context(), s.o.Now()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM relayed) + (SELECT count(*) FROM messages WHERE id = ?)", id); n != 0 {
		t.Errorf("%d rows are left of a message that is forgotten", n)
	}
	sound(t, s)
}
