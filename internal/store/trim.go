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

	// trimRecipients is after how many recipients no more messages are removed in it.
	trimRecipients = 512

	trimActor = "retention"
)

// Trim implements spool.Trimmer. The log goes first: a message, and with it its
// id, is forgotten only when no entry speaks of it any more, so that an id given
// anew never meets entries of another message.
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
	n, base, err := s.trimLog(ctx, before)
	if err != nil {
		return n, err
	}
	// Only what the log spoke of until now can be forgotten now.
	if s.forgot.Load() != base+1 {
		some, err := s.trimMessages(ctx, before)
		if err == nil && some {
			err = s.sweep(ctx)
		}
		if err != nil {
			return n, err
		}
		s.forgot.Store(base + 1)
	}
	return n, s.shrink(ctx)
}

// trimLog moves the base of the log, says where it is then, and removes what is
// before it. What a crash leaves of that, the next Trim removes.
func (s *Store) trimLog(ctx context.Context, before time.Time) (n, base int64, err error) {
	o, err := s.outdated(ctx, before)
	if err != nil {
		return 0, 0, err
	}
	s.warnHeld(o.open)
	if n = o.last.n - o.base.n; n > 0 {
		err := s.update(ctx, "trim", 0, func(b *batch) error { return b.moveBase(o.base, o.last, before) })
		if err != nil {
			return 0, 0, err
		}
	}
	return n, o.last.n, s.removeEntries(ctx)
}

// removeEntries removes what is before the base.
func (s *Store) removeEntries(ctx context.Context) error {
	for more := true; more; {
		err := s.update(ctx, "trim-log", 0, func(b *batch) error {
			n, err := b.change(`DELETE FROM review_log WHERE n IN (SELECT n FROM review_log
				WHERE n <= (SELECT n FROM review_log_base) ORDER BY n LIMIT ?)`, trimEntries)
			more = n == trimEntries
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holdWarning is how long a message that keeps the log isn't told of again.
const holdWarning = 24 * time.Hour

// warnHeld tells of the open message that keeps the log.
func (s *Store) warnHeld(id string) {
	now := s.o.Now()
	if last := moment(s.warned.Load()); id == "" || now.Sub(last).Abs() < holdWarning {
		return
	}
	s.warned.Store(nanos(now))
	s.o.Logger.Warn("an open message keeps the review log: nothing after its first entry goes, however old, until it is released or discarded", "id", id)
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
// is gone and of which the log says nothing any more, and says whether there were
// some.
func (s *Store) trimMessages(ctx context.Context, before time.Time) (some bool, err error) {
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
			some = some || len(gone) > 0
			more, last = end.seq != 0, end
			return nil
		})
		if err != nil {
			return some, err
		}
	}
	return some, nil
}

const spentAt = `SELECT seq, finished, evidence, EXISTS (SELECT 1 FROM review_log l WHERE l.id = m.id),
	coalesce((SELECT max(n) FROM recipients r WHERE r.message = m.seq), 0) + 1 FROM messages m
	WHERE finished IS NOT NULL AND body IS NULL AND `

// selectSpent is in two parts, so that the index finds the next of many that finished
// at one moment: of a pair, it finds only the first half.
const selectSpent = spentAt + "finished = ? AND seq > ? UNION ALL " + spentAt + "finished > ? AND finished < ? ORDER BY finished, seq LIMIT ?"

// spent returns those of the next messages after the given one that can be
// forgotten, and the last one looked at; none: zero.
func (b *batch) spent(before time.Time, after spent) (gone []spent, last spent, err error) {
	rows, err := b.query(selectSpent, after.finished, after.seq, after.finished, nanos(before), trimMessages)
	recipients := int64(0)
	err = each(rows, err, func(rows *sql.Rows) error {
		if recipients >= trimRecipients {
			return nil // they are for the next time
		}
		var n int64
		var logged bool
		if err := rows.Scan(&last.seq, &last.finished, &last.evidence, &logged, &n); err != nil {
			return err
		}
		if !logged {
			gone = append(gone, last)
			recipients += n
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
