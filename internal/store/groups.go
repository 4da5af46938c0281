package store

import (
	"context"
	"database/sql"
	"fmt"

	"mailgate/internal/spool"
)

// Count implements spool.Lister, from the tallies.
func (s *Store) Count(ctx context.Context) (spool.Counts, error) {
	c := spool.Counts{States: map[spool.State]int{}, Held: map[spool.Reason]int{}}
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT t.state, c.reason, sum(t.n)
			FROM (SELECT state, cause, sum(n) AS n FROM tallies GROUP BY state, cause) t
			CROSS JOIN causes c ON c.id = t.cause GROUP BY t.state, c.reason`)
		return each(rows, err, func(rows *sql.Rows) error {
			var state spool.State
			var reason spool.Reason
			var n int
			err := rows.Scan(&state, &reason, &n)
			c.States[state] += n
			if state == spool.Held {
				c.Held[reason] += n
			}
			return err
		})
	})
	return c, err
}

// HeldGroups implements spool.Groups: a group for each tally. Its oldest message
// is the first one in the index by identity.
func (s *Store) HeldGroups(ctx context.Context) ([]spool.Group, error) {
	var groups []spool.Group
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT i.from_domain, i.mail_domain, c.reason, c.provider, c.rule, c.codes, t.n, m.received
			FROM tallies t CROSS JOIN identities i ON i.id = t.identity CROSS JOIN causes c ON c.id = t.cause
			CROSS JOIN messages m ON m.seq = (SELECT min(r.message) FROM recipients r
				WHERE r.identity = t.identity AND r.state = 'held' AND r.cause = t.cause)
			WHERE t.state = 'held' AND t.n > 0 ORDER BY m.seq, t.cause`)
		return each(rows, err, func(rows *sql.Rows) error {
			var g spool.Group
			var oldest int64
			err := rows.Scan(&g.From, &g.MailFrom, &g.Reason, &g.Provider, &g.Rule, &g.Codes, &g.Held, &oldest)
			g.Oldest = moment(oldest)
			groups = append(groups, g)
			return err
		})
	})
	return groups, err
}

// GroupIDs implements spool.Groups.
func (s *Store) GroupIDs(ctx context.Context, g spool.GroupKey, after string, limit int) (ids []string, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		start, err := place(ctx, tx, after)
		if err != nil {
			return err
		}
		ids, err = column[string](tx.QueryContext(ctx, `SELECT m.id FROM messages m JOIN (
			SELECT DISTINCT r.message FROM recipients r
			WHERE r.identity = (SELECT id FROM identities WHERE from_domain = ? AND mail_domain = ?)
			AND r.state = 'held'
			AND r.cause = (SELECT id FROM causes WHERE reason = ? AND provider = ? AND rule = ? AND codes = ?)
			AND r.message > ? ORDER BY r.message LIMIT ?) ON m.seq = message
			ORDER BY m.seq`, string(g.From), string(g.MailFrom), string(g.Reason), g.Provider, g.Rule, g.Codes, start, limit))
		return err
	})
	return ids, err
}

// Stuck implements spool.Groups. With nothing stuck, the numbers kept tell.
func (s *Store) Stuck(ctx context.Context) (ids []string, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		var any bool
		err = tx.QueryRowContext(ctx, `SELECT (SELECT coalesce(sum(n), 0) FROM tallies WHERE state = 'queued')
			<> (SELECT coalesce(sum(queued), 0) FROM destinations)`).Scan(&any)
		if err != nil || !any {
			return err
		}
		ids, err = column[string](tx.QueryContext(ctx, `SELECT m.id FROM messages m
			WHERE m.seq IN (SELECT r.message FROM recipients r WHERE r.state = 'queued' AND NOT EXISTS
				(SELECT 1 FROM deliveries d WHERE d.message = r.message AND d.n = r.n AND d.due IS NOT NULL)) ORDER BY m.seq`))
		return err
	})
	return ids, err
}

// place returns the seq of a message that a list goes on after, 0 for none.
func place(ctx context.Context, tx *sql.Tx, id string) (seq int64, err error) {
	if id == "" {
		return 0, nil
	}
	if err = tx.QueryRowContext(ctx, "SELECT seq FROM messages WHERE id = ?", id).Scan(&seq); err != nil {
		return 0, fmt.Errorf("message %s to go on after: %w", id, notFound(err))
	}
	return seq, nil
}
