package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// nextTry is when a destination is due, as the index has it.
const nextTry = "max(first_due, pause)"

// Due implements spool.Queue. It reads the destinations in the order they become
// due, as many as are asked for and busy together at most.
func (s *Store) Due(ctx context.Context, now time.Time, busy []mail.Domain, limit int) ([]mail.Domain, error) {
	skip := make(map[mail.Domain]bool, len(busy))
	for _, d := range busy {
		skip[d] = true
	}
	var due []mail.Domain
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := s.stmt(ctx, tx, selectDue).QueryContext(ctx, nanos(now), limit+len(skip))
		return each(rows, err, func(rows *sql.Rows) error {
			var d mail.Domain
			err := rows.Scan(&d)
			if !skip[d] && len(due) < limit {
				due = append(due, d)
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look for destinations that are due: %w", err)
	}
	return due, nil
}

// NextDue implements spool.Queue.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.view(ctx, func(tx *sql.Tx) error {
		err := s.stmt(ctx, tx, selectNextDue).QueryRowContext(ctx).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("look when the next destination is due: %w", err)
	}
	return moment(at), nil
}

// Destinations implements spool.Queue.
func (s *Store) Destinations(ctx context.Context, limit int) ([]spool.Destination, error) {
	var all []spool.Destination
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `WITH d AS MATERIALIZED (SELECT * FROM destinations ORDER BY queued DESC, domain LIMIT ?1)
			SELECT domain, queued, `+nextTry+`, answer, host, tls, tried,
				(SELECT count(*) FROM deliveries WHERE destination = domain AND leased > ?2),
				coalesce((SELECT received FROM messages WHERE seq =
					(SELECT min(message) FROM deliveries WHERE destination = domain AND due IS NOT NULL)), 0)
			FROM d ORDER BY queued DESC, domain`, limit, nanos(s.o.Now()))
		return each(rows, err, func(rows *sql.Rows) error {
			var d spool.Destination
			var next, tried, oldest int64
			err := rows.Scan(&d.Domain, &d.Queued, &next, &d.Answer, &d.Host, &d.TLS, &tried, &d.Leased, &oldest)
			d.Next, d.Tried, d.Oldest = moment(next), moment(tried), moment(oldest)
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sum up the queue: %w", err)
	}
	return all, nil
}
