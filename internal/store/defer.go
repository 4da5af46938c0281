package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"mailgate/internal/mail"
)

// deferRows is how many recipients and destinations are put off in one operation,
// about.
const deferRows = 500

// Defer implements spool.Queue.
func (s *Store) Defer(ctx context.Context, destination mail.Domain, next time.Time, sooner bool) (int, error) {
	left := []string{string(destination)}
	err := s.Err()
	if destination == "" {
		left, err = s.destinations(ctx)
	}
	n := 0
	for err == nil && len(left) > 0 {
		var some int
		rest := left
		err = s.update(ctx, "defer", 0, func(b *batch) (err error) {
			some, rest, err = b.deferSome(left, nanos(next), sooner)
			return err
		})
		n += some
		left = rest
	}
	if err != nil {
		return n, fmt.Errorf("put off what is queued for %q: %w", destination, err)
	}
	return n, nil
}

// destinations returns all that have something queued.
func (s *Store) destinations(ctx context.Context) (domains []string, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		domains, err = column[string](tx.QueryContext(ctx, "SELECT domain FROM destinations"))
		return err
	})
	return domains, err
}

// deferSome does the first of the destinations, as far as one operation goes, and
// returns those that are left. It counts what is queued at those it has done.
func (b *batch) deferSome(domains []string, next int64, sooner bool) (queued int, left []string, err error) {
	for room := deferRows; room > 0 && len(domains) > 0; domains = domains[1:] {
		room--
		moved, err := b.deferOne(domains[0], next, sooner, room)
		if err != nil {
			return 0, nil, err
		}
		if sooner && moved == room {
			break // there may be more of it
		}
		room -= moved
		var n int
		err = b.row(`SELECT coalesce((SELECT queued FROM destinations WHERE domain = ?1), 0) -
			(SELECT count(*) FROM deliveries INDEXED BY deliveries_leased WHERE destination = ?1 AND leased IS NOT NULL)`,
			[]any{domains[0]}, &n)
		if err != nil {
			return 0, nil, err
		}
		queued += n
	}
	return queued, domains, nil
}

// deferOne begins or ends a pause; with sooner it also brings so many recipients
// forward, and says how many there were.
func (b *batch) deferOne(domain string, next int64, sooner bool, most int) (int, error) {
	if !sooner {
		return 0, b.exec("UPDATE destinations SET pause = ?1 WHERE domain = ?2 AND pause < ?1", next, domain)
	}
	if err := b.exec("UPDATE destinations SET pause = ?1 WHERE domain = ?2 AND pause > ?1", next, domain); err != nil {
		return 0, err
	}
	n, err := b.change(`UPDATE deliveries SET due = ?1, next = ?1 WHERE (message, n) IN
		(SELECT message, n FROM deliveries INDEXED BY deliveries_due
			WHERE destination = ?2 AND due > ?1 AND leased IS NULL ORDER BY due LIMIT ?3)`, next, domain, most)
	return int(n), err
}

// Retry implements spool.Queue.
func (s *Store) Retry(ctx context.Context, id string, next time.Time) (n int, err error) {
	err = s.update(ctx, "defer", 0, func(b *batch) (err error) {
		n, err = b.retry(id, nanos(next))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("try message %s again: %w", id, err)
	}
	return n, nil
}

func (b *batch) retry(id string, next int64) (n int, err error) {
	var seq int64
	if err := b.row("SELECT seq FROM messages WHERE id = ?", []any{id}, &seq); err != nil {
		return 0, notFound(err)
	}
	err = b.exec("UPDATE deliveries SET due = ?1, next = ?1 WHERE message = ?2 AND due > ?1 AND leased IS NULL", next, seq)
	if err != nil {
		return 0, err
	}
	const free = "FROM deliveries WHERE message = ? AND due IS NOT NULL AND leased IS NULL"
	err = b.exec("UPDATE destinations SET pause = ? WHERE domain IN (SELECT destination "+free+") AND pause > ?", next, seq, next)
	if err != nil {
		return 0, err
	}
	err = b.row("SELECT count(*) "+free, []any{seq}, &n)
	return n, err
}
