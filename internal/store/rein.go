package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// reinParts is over how many moments tries that are brought forward are spread.
const reinParts = 997

// Rein implements spool.Queue. What is to be done is found by the index, one look for
// each destination.
func (s *Store) Rein(ctx context.Context, now, latest time.Time) (int, error) {
	var domains []string
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		domains, err = column[string](tx.QueryContext(ctx, `SELECT domain FROM destinations WHERE pause > ?1 OR EXISTS
			(SELECT 1 FROM deliveries INDEXED BY deliveries_due WHERE destination = domain AND due > ?1 AND leased IS NULL)`, nanos(latest)))
		return err
	})
	total := 0
	for err == nil && len(domains) > 0 {
		var n int64
		err = s.update(ctx, "defer", 0, func(b *batch) (err error) {
			n, err = b.rein(domains[0], now, latest)
			return err
		})
		if total += int(n); n < deferRows {
			domains = domains[1:]
		}
	}
	if err != nil {
		return total, fmt.Errorf("bring forward what waits beyond %s: %w", latest.UTC().Format(time.RFC3339), err)
	}
	return total, nil
}

func (b *batch) rein(domain string, now, latest time.Time) (int64, error) {
	if err := b.exec("UPDATE destinations SET pause = ? WHERE domain = ? AND pause > ?", nanos(now), domain, nanos(latest)); err != nil {
		return 0, err
	}
	const at = "?1 + (message + n) * 7919 % ?2 * ?3"
	return b.change("UPDATE deliveries SET due = "+at+", next = "+at+` WHERE (message, n) IN
		(SELECT message, n FROM deliveries INDEXED BY deliveries_due WHERE destination = ?4 AND due > ?5 AND leased IS NULL LIMIT ?6)`,
		nanos(now), reinParts, int64(latest.Sub(now))/reinParts, domain, nanos(latest), deferRows)
}
