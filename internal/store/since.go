package store

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// clockSlack is by how much the newest message may be ahead of the clock before
// that is told at the start.
const clockSlack = time.Minute

// firstSince returns the seq of the first message taken at t or later.
//
// The time of taking never goes back, so the order of taking is the order of age.
// But a clock that was once ahead leaves its mark on all messages taken after it,
// until it is that late. Of those, the time they were received tells: up to the
// last one received before t, all were taken before t as well.
func firstSince(ctx context.Context, tx *sql.Tx, t, now time.Time) (int64, error) {
	seq, err := oneOf(tx.QueryContext(ctx, "SELECT seq FROM messages WHERE taken >= ? ORDER BY taken, seq LIMIT 1", nanos(t)))
	if err != nil {
		return 0, err
	}
	var ahead int64
	if !t.After(now) {
		ahead, err = lastAhead(ctx, tx, t, now)
	}
	switch {
	case err != nil:
		return 0, err
	case ahead != 0:
		return ahead + 1, nil
	case seq == 0:
		return math.MaxInt64, nil
	}
	return seq, nil
}

// lastAhead returns the seq of the last message received before t with a time of
// taking that is still to come, 0 for none.
func lastAhead(ctx context.Context, tx *sql.Tx, t, now time.Time) (int64, error) {
	return oneOf(tx.QueryContext(ctx, `SELECT seq FROM messages INDEXED BY messages_by_taken
		WHERE taken > ? AND received < ? ORDER BY taken DESC, seq DESC LIMIT 1`, nanos(now), nanos(t)))
}

// oneOf reads a key, 0 for none.
func oneOf(rows *sql.Rows, err error) (int64, error) {
	keys, err := column[int64](rows, err)
	if len(keys) == 0 {
		return 0, err
	}
	return keys[0], err
}

// tellAhead says at the start that a clock is or was wrong, which nothing else shows.
func (w *writer) tellAhead() {
	taken, now := moment(w.next.taken), w.s.o.Now()
	if taken.After(now.Add(clockSlack)) {
		w.s.o.Logger.Error("the newest message was taken in the future: the clock is behind, or it was ahead. Messages taken meanwhile may stay longer than hold.max_age; set the clock right and keep it so",
			"taken", taken.Format(time.RFC3339), "now", now.UTC().Format(time.RFC3339), "database", w.s.path)
	}
}
