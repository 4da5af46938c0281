package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"mailgate/internal/spool"
)

const (
	// trimEntries and trimMessages are how many are removed in one operation.
	trimEntries  = 512
	trimMessages = 64

	trimActor = "retention"
)

// Trim implements spool.Trimmer. The log goes first: a message, and with it its
// id, is forgotten only when no entry speaks of it any more, so that an id given
// anew never meets entries of another message. A message that is still open keeps
// its entries and all that follow.
func (s *Store) Trim(ctx context.Context, before time.Time) (int64, error) {
	n, err := s.trim(ctx, before)
	if err != nil {
		return n, fmt.Errorf("remove what is kept no longer: %w", err)
	}
	return n, nil
}

func (s *Store) trim(ctx context.Context, before time.Time) (int64, error) {
	if _, err := s.purge(ctx, before); err != nil {
		return 0, err
	}
	n, err := s.trimLog(ctx, before)
	if err != nil {
		return n, err
	}
	if err := s.trimMessages(ctx, before); err != nil {
		return n, err
	}
	return n, s.shrink(ctx)
}

// trimLog moves the base of the log and removes what is before it. What a crash
// leaves of that, the next Trim removes.
func (s *Store) trimLog(ctx context.Context, before time.Time) (n int64, err error) {
	base, last, err := s.outdated(ctx, before)
	if err != nil {
		return 0, err
	}
	if last.n > base.n {
		err := s.update(ctx, "trim", 0, func(b *batch) error { return b.moveBase(base, last, before) })
		if err != nil {
			return 0, err
		}
		n = last.n - base.n
	}
	for more := true; more; {
		err := s.update(ctx, "trim-log", 0, func(b *batch) error {
			n, err := b.change(`DELETE FROM review_log WHERE n IN (SELECT n FROM review_log
				WHERE n <= (SELECT n FROM review_log_base) ORDER BY n LIMIT ?)`, trimEntries)
			more = n == trimEntries
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// outdated finds the last entry of the log that can go; the base if none can.
// Entries that only say that others went don't go by themselves, or there would
// be one more of them each time.
func (s *Store) outdated(ctx context.Context, before time.Time) (base, last link, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		if base, _, err = ends(ctx, tx); err != nil {
			return err
		}
		last = base
		var hash []byte
		var n sql.NullInt64
		// Messages are taken in the order of their first entries: none before those
		// of the oldest open one is of an open message.
		err = tx.QueryRowContext(ctx, `WITH kept (n) AS (
				SELECT min(n) FROM review_log WHERE id = (SELECT id FROM messages WHERE seq =
					(SELECT min(message) FROM recipients WHERE state IN ('held', 'queued')))
				UNION ALL SELECT n FROM (SELECT n FROM review_log WHERE n > ?1 AND time >= ?2 ORDER BY n LIMIT 1))
			SELECT max(n) FROM review_log WHERE n > ?1 AND n < coalesce((SELECT min(n) FROM kept), 9223372036854775807)`,
			base.n, nanos(before)).Scan(&n)
		if err != nil || !n.Valid {
			return err
		}
		var worth bool
		err = tx.QueryRowContext(ctx, `SELECT hash, EXISTS (SELECT 1 FROM review_log WHERE n > ? AND n <= ? AND action <> ?)
			FROM review_log WHERE n = ?`, base.n, n.Int64, string(spool.ActionTrim), n.Int64).Scan(&hash, &worth)
		if err == nil && worth {
			last.n = n.Int64
			copy(last.hash[:], hash)
		}
		return err
	})
	return base, last, err
}

// moveBase writes the entry that says what is removed, and notes it.
func (b *batch) moveBase(base, last link, before time.Time) error {
	err := b.log(spool.LogEntry{
		Time: b.w.s.o.Now(), Action: spool.ActionTrim, Actor: trimActor, Where: hex.EncodeToString(last.hash[:]),
		Reason: fmt.Sprintf("removed entries %d to %d, all older than %s", base.n+1, last.n, before.UTC().Format(time.RFC3339)),
	})
	if err != nil {
		return err
	}
	n, err := b.change("UPDATE review_log_base SET n = ?, hash = ? WHERE n = ?", last.n, last.hash[:], base.n)
	if err == nil && n == 0 {
		return spool.ErrConflict // another Trim was faster
	}
	return err
}

// spent is a message that can be forgotten.
type spent struct {
	seq, finished int64
	evidence      sql.NullInt64
}

// trimMessages forgets messages that finished before the given time, whose body
// is gone and of which the log says nothing any more.
func (s *Store) trimMessages(ctx context.Context, before time.Time) error {
	var last spent
	for more := true; more; {
		err := s.update(ctx, "trim-messages", 0, func(b *batch) error {
			gone, end, err := b.spent(before, last)
			if err != nil {
				return err
			}
			for _, m := range gone {
				if err := b.forget(m); err != nil {
					return err
				}
			}
			more, last = end.seq != 0, end
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// spent returns those of the next messages after the given one that can be
// forgotten, and the last one looked at; none: zero.
func (b *batch) spent(before time.Time, after spent) (gone []spent, last spent, err error) {
	rows, err := b.query(`SELECT seq, finished, evidence, EXISTS (SELECT 1 FROM review_log l WHERE l.id = m.id) FROM messages m
		WHERE finished IS NOT NULL AND body IS NULL AND finished < ? AND (finished, seq) > (?, ?)
		ORDER BY finished, seq LIMIT ?`, nanos(before), after.finished, after.seq, trimMessages)
	err = each(rows, err, func(rows *sql.Rows) error {
		var logged bool
		if err := rows.Scan(&last.seq, &last.finished, &last.evidence, &logged); err != nil {
			return err
		}
		if !logged {
			gone = append(gone, last)
		}
		return nil
	})
	return gone, last, err
}

// forget removes a message, and its evidence if no other has it. Triggers see to
// the tallies and to the index of texts.
func (b *batch) forget(m spent) error {
	if err := b.exec("DELETE FROM recipients WHERE message = ?", m.seq); err != nil {
		return err
	}
	if err := b.exec("DELETE FROM messages WHERE seq = ?", m.seq); err != nil {
		return err
	}
	if !m.evidence.Valid {
		return nil
	}
	return b.exec("DELETE FROM evidence WHERE id = ? AND NOT EXISTS (SELECT 1 FROM messages WHERE evidence = ?)",
		m.evidence.Int64, m.evidence.Int64)
}
