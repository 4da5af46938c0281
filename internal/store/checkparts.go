package store

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
)

const (
	checkBodies   = 16   // messages whose bodies are read in one transaction
	checkMessages = 2000 // messages whose states are compared in one
)

// tx runs a step's part at one moment. Parts are small, since the daemon's log
// can't begin anew while one runs.
func (c *checker) tx(read func(*sql.Tx) error) error {
	tx, err := c.db.BeginTx(c.ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return read(tx)
}

// bodies compares size and digest of every body with those of its message, and
// looks for pieces of none.
func (c *checker) bodies() error {
	var total int64
	err := c.db.QueryRowContext(c.ctx, "SELECT coalesce(sum(size), 0) FROM messages WHERE body IS NOT NULL").Scan(&total)
	if err != nil {
		return err
	}
	for last := int64(0); last >= 0; {
		err := c.tx(func(tx *sql.Tx) (err error) {
			last, err = c.someBodies(tx, last)
			return err
		})
		if err != nil {
			return err
		}
		c.progress(c.BodyBytes, max(total, c.BodyBytes))
	}
	if err := c.missing(); err != nil {
		return err
	}
	return c.strays()
}

// missing looks for open messages whose body is gone.
func (c *checker) missing() error {
	ids, err := column[string](c.db.QueryContext(c.ctx, `SELECT id FROM messages m
		WHERE body IS NULL AND seq IN (SELECT message FROM recipients WHERE state IN ('held', 'queued')) LIMIT ?`, maxFaults+1))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.fault("message %s is held or queued, and its body is gone", id); err != nil {
			return err
		}
	}
	return nil
}

// strays looks for bodies of no message.
func (c *checker) strays() error {
	strays, err := column[int64](c.db.QueryContext(c.ctx, `SELECT DISTINCT at >> 20 FROM chunks
		WHERE NOT EXISTS (SELECT 1 FROM loose WHERE body = at >> 20)
		AND at >> 20 NOT IN (SELECT body FROM messages WHERE body IS NOT NULL) LIMIT ?`, maxFaults+1))
	if err != nil {
		return err
	}
	for _, body := range strays {
		if err := c.fault("body %d is of no message", body); err != nil {
			return err
		}
	}
	return nil
}

// stored is a message's body as it should be.
type stored struct {
	seq, size, body int64
	id              string
	digest          []byte
}

// someBodies reads the bodies of the next messages after the given one, and returns
// the last; -1 when there are no more.
func (c *checker) someBodies(tx *sql.Tx, after int64) (last int64, err error) {
	var some []stored
	rows, err := tx.QueryContext(c.ctx, `SELECT seq, size, body, id, digest FROM messages
		WHERE seq > ? AND body IS NOT NULL ORDER BY seq LIMIT ?`, after, checkBodies)
	err = each(rows, err, func(rows *sql.Rows) error {
		var m stored
		err := rows.Scan(&m.seq, &m.size, &m.body, &m.id, &m.digest)
		some = append(some, m)
		return err
	})
	if err != nil || len(some) == 0 {
		return -1, err
	}
	for _, m := range some {
		if err := c.body(tx, &m); err != nil {
			return -1, err
		}
	}
	return some[len(some)-1].seq, nil
}

func (c *checker) body(tx *sql.Tx, m *stored) error {
	var size int64
	digest := sha256.New()
	rows, err := tx.QueryContext(c.ctx, "SELECT data FROM chunks WHERE at >= ? AND at < ? ORDER BY at",
		m.body<<pieceBits, (m.body+1)<<pieceBits)
	err = each(rows, err, func(rows *sql.Rows) error {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return err
		}
		size += int64(len(data))
		digest.Write(data)
		return nil
	})
	if err != nil {
		return err
	}
	c.Bodies++
	c.BodyBytes += size
	switch {
	case size != m.size:
		return c.fault("the body of message %s has %d bytes, %d were taken", m.id, size, m.size)
	case !bytes.Equal(digest.Sum(nil), m.digest):
		return c.fault("the body of message %s is not the one that was taken: its digest differs", m.id)
	}
	return nil
}

// states compares the state of every recipient with what the log says last, and
// looks for messages that the log knows and that are gone.
func (c *checker) states() error {
	var last int64
	err := c.db.QueryRowContext(c.ctx, "SELECT coalesce(max(seq), 0), count(*) FROM messages").Scan(&last, &c.Messages)
	if err != nil {
		return err
	}
	for from := int64(0); from < last; from += checkMessages {
		c.progress(from, last)
		err := c.tx(func(tx *sql.Tx) error {
			if err := c.recipientStates(tx, from); err != nil {
				return err
			}
			if err := c.deliveries(tx, from); err != nil {
				return err
			}
			return c.finished(tx, from)
		})
		if err != nil {
			return err
		}
	}
	gone, err := column[string](c.db.QueryContext(c.ctx, `SELECT DISTINCT id FROM review_log l WHERE id <> ''
		AND n > (SELECT n FROM review_log_base) AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = l.id) LIMIT ?`, maxFaults+1))
	if err != nil {
		return err
	}
	for _, id := range gone {
		if err := c.fault("message %s is in the log and nowhere else", id); err != nil {
			return err
		}
	}
	return nil
}

// recipientStates looks at the recipients of some messages. Of finished ones the log
// may have been trimmed.
func (c *checker) recipientStates(tx *sql.Tx, from int64) error {
	rows, err := tx.QueryContext(c.ctx, `SELECT id, address, state, said FROM
		(SELECT m.id, r.local || '@' || r.domain AS address, r.state, m.finished, m.identity <> r.identity AS strange,
			(SELECT into_state FROM review_log l WHERE l.id = m.id AND l.local = r.local AND l.domain = r.domain
				AND l.n > (SELECT n FROM review_log_base) ORDER BY n DESC LIMIT 1) AS said
			FROM messages m JOIN recipients r ON r.message = m.seq WHERE m.seq > ? AND m.seq <= ?)
		WHERE strange OR said IS NOT state AND NOT (said IS NULL AND finished IS NOT NULL AND (SELECT n > 0 FROM review_log_base))`,
		from, from+checkMessages)
	return each(rows, err, func(rows *sql.Rows) error {
		var id, address, state string
		var said sql.NullString
		if err := rows.Scan(&id, &address, &state, &said); err != nil {
			return err
		}
		if said.String == state {
			return c.fault("message %s: recipient %s counts for another pair of domains than its message", id, address)
		}
		if said.String == "" {
			said.String = "nothing"
		}
		return c.fault("message %s: recipient %s is %s, the log says %s", id, address, state, said.String)
	})
}

// finished looks at what is noted of the whole message.
func (c *checker) finished(tx *sql.Tx, from int64) error {
	ids, err := column[string](tx.QueryContext(c.ctx, `SELECT id FROM messages WHERE seq > ? AND seq <= ? AND
		((finished IS NULL) <> EXISTS (SELECT 1 FROM recipients WHERE message = seq AND state IN ('held', 'queued'))
		OR NOT EXISTS (SELECT 1 FROM recipients WHERE message = seq))`, from, from+checkMessages))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.fault("message %s: whether it is finished does not agree with its recipients", id); err != nil {
			return err
		}
	}
	return nil
}
