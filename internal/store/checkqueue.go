package store

import "database/sql"

// destinations compares what is kept of the destinations with the queue.
func (c *checker) destinations() error {
	rows, err := c.db.QueryContext(c.ctx, `SELECT domain, coalesce(d.queued, 0), coalesce(q.n, 0) FROM destinations d
		FULL JOIN (SELECT destination AS domain, count(*) AS n, min(due) AS first FROM deliveries WHERE due IS NOT NULL GROUP BY destination) q
		USING (domain) WHERE d.queued IS NOT q.n OR d.first_due IS NOT q.first`)
	return each(rows, err, func(rows *sql.Rows) error {
		var domain string
		var counted, there int64
		if err := rows.Scan(&domain, &counted, &there); err != nil {
			return err
		}
		if counted != there {
			return c.fault("%d recipients are counted as queued for %q, and %d are", counted, domain, there)
		}
		return c.fault("when the first recipient queued for %q is due is not what is kept", domain)
	})
}

// deliveries compares the places in the queue with the states of some messages.
func (c *checker) deliveries(tx *sql.Tx, from int64) error {
	rows, err := tx.QueryContext(c.ctx, `SELECT m.id, r.local || '@' || r.domain, r.state, d.destination
		FROM deliveries d JOIN messages m ON m.seq = d.message JOIN recipients r ON r.message = d.message AND r.n = d.n
		WHERE d.message > ? AND d.message <= ?
		AND (d.destination <> r.domain OR d.due IS NOT NULL AND (r.state <> 'queued' OR d.due <> coalesce(d.leased, d.next)))`,
		from, from+checkMessages)
	return each(rows, err, func(rows *sql.Rows) error {
		var id, address, state, destination string
		if err := rows.Scan(&id, &address, &state, &destination); err != nil {
			return err
		}
		return c.fault("message %s: recipient %s is %s, and its place in the queue for %q does not agree", id, address, state, destination)
	})
}
