package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// ClaimLate implements spool.Queue.
func (s *Store) ClaimLate(ctx context.Context, destination mail.Domain, now, until time.Time, limit int, deadlines spool.Deadlines) ([]*spool.Claim, error) {
	var late []leased
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		rows, err := tx.QueryContext(ctx, selectLate, string(destination), nanos(now), int64(deadlines.End), int64(deadlines.Delay))
		late, err = firstOf(rows, err, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what is late at %s: %w", destination, err)
	}
	if len(late) == 0 {
		return nil, nil
	}
	return s.claim(ctx, destination, until, func(b *batch) ([]leased, error) { return b.stillDue(late, now) })
}

// selectLate selects what is due at a destination, and whose sender is to be told of
// the delay or that it is given up.
const selectLate = `SELECT message, n, fence FROM (
		SELECT d.message, d.n, d.fence, d.due, d.next,
			CASE WHEN c.reason <> '' AND r.changed > m.received THEN r.changed ELSE m.received END AS since
		FROM deliveries d INDEXED BY deliveries_due CROSS JOIN recipients r ON r.message = d.message AND r.n = d.n
		CROSS JOIN causes c ON c.id = r.cause CROSS JOIN messages m ON m.seq = d.message
		WHERE d.destination = ?1 AND d.due <= ?2)
	WHERE since <= ?2 - ?3 OR ?4 > 0 AND since <= ?2 - ?4 AND next <= since + ?4 ORDER BY due, message, n`

// stillDue leaves out what was claimed or moved since it was read.
func (b *batch) stillDue(some []leased, now time.Time) ([]leased, error) {
	var left []leased
	for _, l := range some {
		rows, err := b.query("SELECT n, fence FROM deliveries WHERE message = ? AND due <= ?", l.seq, nanos(now))
		still := leased{seq: l.seq}
		err = each(rows, err, func(rows *sql.Rows) error {
			var n int
			var fence int64
			err := rows.Scan(&n, &fence)
			if slices.Contains(l.places, n) {
				still.places, still.fence = append(still.places, n), max(still.fence, fence+1)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(still.places) > 0 {
			left = append(left, still)
		}
	}
	return left, nil
}
