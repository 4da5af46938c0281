package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"mailgate/internal/spool"
)

// outdated is what of the log can go.
type outdated struct {
	base, last link   // of the chain; the same if nothing can go
	open       string // id of the open message that keeps what is old, if one does
}

// outdated finds the last entry of the log that can go, and makes sure that the log
// is right up to there: what was removed shows no more that it was changed.
func (s *Store) outdated(ctx context.Context, before time.Time) (o outdated, err error) {
	now := s.o.Now()
	err = s.view(ctx, func(tx *sql.Tx) error {
		if o.base, _, err = ends(ctx, tx); err != nil {
			return err
		}
		o.last = o.base
		end, err := o.kept(ctx, tx, before, now)
		if err != nil {
			return err
		}
		var hash []byte
		last := link{n: o.base.n}
		err = tx.QueryRowContext(ctx, `SELECT n, hash FROM review_log WHERE n > ? AND n < ? AND time < ?
			ORDER BY n DESC LIMIT 1`, o.base.n, end, nanos(before)).Scan(&last.n, &hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		copy(last.hash[:], hash)
		if err != nil {
			return err
		}
		worth, err := o.worth(ctx, tx, last)
		if err == nil && worth {
			o.last, err = last, follow(ctx, tx, o.base, last)
		}
		return err
	})
	return o, err
}

// kept returns the first entry that must stay: the oldest open message's, or one
// that isn't old. An entry of a clock that was ahead has no say.
func (o *outdated) kept(ctx context.Context, tx *sql.Tx, before, now time.Time) (int64, error) {
	// Messages are taken in the order of their first entries: none before those of
	// the oldest open one is of an open message.
	var id string
	end, since := int64(math.MaxInt64), int64(0)
	err := tx.QueryRowContext(ctx, `SELECT id, n, time FROM review_log WHERE n = (SELECT min(n) FROM review_log
		WHERE id = (SELECT id FROM messages WHERE seq =
			(SELECT min(message) FROM recipients WHERE state IN ('held', 'queued'))))`).Scan(&id, &end, &since)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	young, err := oneOf(tx.QueryContext(ctx, `SELECT n FROM review_log WHERE n > ? AND n < ? AND time >= ? AND time <= ?
		ORDER BY n LIMIT 1`, o.base.n, end, nanos(before), nanos(now)))
	switch {
	case err != nil:
		return 0, err
	case young != 0:
		return young, nil
	case id != "" && since < nanos(before):
		o.open = id
	}
	return end, nil
}

// worth reports whether the entries up to last are worth an entry that says that
// they went. Those that only say the like of others aren't, or there would be one
// more of them each time.
func (o *outdated) worth(ctx context.Context, tx *sql.Tx, last link) (worth bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM review_log WHERE n > ? AND n <= ? AND action <> ?)",
		o.base.n, last.n, string(spool.ActionTrim)).Scan(&worth)
	return worth, err
}

// follow makes sure that the chain is right from one entry to another.
func follow(ctx context.Context, tx *sql.Tx, from, to link) error {
	c := chainCheck{head: to, last: from}
	rows, err := tx.QueryContext(ctx, selectLog+" WHERE n > ? AND n <= ? ORDER BY n", from.n, to.n)
	err = each(rows, err, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		return c.follow(&e)
	})
	if err == nil && c.last != to {
		err = fmt.Errorf("%w: entry %d is missing", spool.ErrLog, c.last.n+1)
	}
	return err
}
