package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"mailgate/internal/spool"
)

// HeldBefore implements spool.Ages.
func (s *Store) HeldBefore(ctx context.Context, before time.Time, after string, limit int) ([]string, error) {
	return s.aged(ctx, before, after, `SELECT m.id FROM (SELECT DISTINCT r.message FROM recipients r
		WHERE r.state = 'held' AND r.message > ? AND r.message < ? ORDER BY r.message LIMIT ?) h
		CROSS JOIN messages m ON m.seq = h.message ORDER BY m.seq`, limit)
}

// Unnoticed implements spool.Ages. Its condition is that of the index.
func (s *Store) Unnoticed(ctx context.Context, before time.Time, after string, limit int) ([]string, error) {
	return s.aged(ctx, before, after, `SELECT m.id FROM messages m INDEXED BY messages_unnoticed
		WHERE m.noticed IS NULL AND m.finished IS NULL AND NOT (m.mail_local = '' AND m.mail_domain = '')
		AND m.seq > ? AND m.seq < ?
		AND EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.seq AND r.state = 'held')
		ORDER BY m.seq LIMIT ?`, limit)
}

// aged runs a query between two places in the order of taking.
func (s *Store) aged(ctx context.Context, before time.Time, after, query string, limit int) (ids []string, err error) {
	err = s.view(ctx, func(tx *sql.Tx) error {
		start, err := place(ctx, tx, after)
		if err != nil {
			return err
		}
		end, err := firstSince(ctx, tx, before, s.o.Now())
		if err != nil {
			return err
		}
		ids, err = column[string](tx.QueryContext(ctx, query, start, end, limit))
		return err
	})
	return ids, err
}

// NewHolds implements spool.Ages. Unlike other readers it waits for the writer: what is
// being written has its time already. A recipient that was never held has no reason.
func (s *Store) NewHolds(ctx context.Context, since, until time.Time) (counts []spool.HoldCount, err error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	err = s.view(ctx, func(tx *sql.Tx) error {
		now := s.o.Now()
		start, err := firstSince(ctx, tx, since, now)
		if err != nil {
			return err
		}
		end, err := firstSince(ctx, tx, until, now)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT h.*, m.id FROM (
			SELECT i.from_domain, c.reason, c.codes, sum(k.n) AS n, sum(k.held), max(k.newest) AS newest FROM (
				SELECT identity, cause, count(*) AS n, sum(state = 'held') AS held, max(message) AS newest
				FROM recipients WHERE message >= ? AND message < ? GROUP BY identity, cause) k
			CROSS JOIN causes c ON c.id = k.cause AND c.reason <> ''
			CROSS JOIN identities i ON i.id = k.identity
			GROUP BY i.from_domain, c.reason, c.codes) h
			CROSS JOIN messages m ON m.seq = h.newest
			ORDER BY h.n DESC, h.from_domain, h.reason, h.codes`, start, end)
		return each(rows, err, func(rows *sql.Rows) error {
			var c spool.HoldCount
			var codes string
			err := rows.Scan(&c.From, &c.Reason, &codes, &c.Recipients, &c.Still, new(int64), &c.Example)
			c.Codes = strings.Fields(codes)
			counts = append(counts, c)
			return err
		})
	})
	return counts, err
}
