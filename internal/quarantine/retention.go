package quarantine

import (
	"context"
	"errors"
	"time"

	"mailgate/internal/spool"
)

// markTrimmed is when the log was last trimmed.
const markTrimmed = "trimmed"

// retain forgets what Policy.KeepBodies and Policy.KeepLog no longer keep. A body
// goes no later than what is known of its message.
func (q *Quarantine) retain(ctx context.Context) {
	p, now := q.o.Policy(), q.o.Now()
	if keep := shorter(p.KeepBodies, p.KeepLog); keep > 0 {
		q.purge(ctx, now.Add(-keep))
		q.makeRoom(ctx, now, keep)
	}
	if p.KeepLog > 0 {
		if err := q.trim(ctx, now, p.KeepLog); err != nil && ctx.Err() == nil {
			q.o.Logger.Error("trim the review log", "error", err)
		}
	}
}

// purge deletes the bodies of messages finished before a time.
func (q *Quarantine) purge(ctx context.Context, before time.Time) {
	n, err := q.store.Purge(ctx, before)
	if err != nil && ctx.Err() == nil {
		q.o.Logger.Error("delete old bodies", "error", err)
	}
	if n > 0 {
		q.o.Logger.Info("deleted bodies of finished messages", "messages", n, "before", before.UTC().Format(time.RFC3339))
	}
}

// makeRoom deletes bodies before their time while the store is full: to hold a
// message matters more than to keep one that has left. The oldest go first, in steps
// of half the time they are kept for, until there is room.
func (q *Quarantine) makeRoom(ctx context.Context, now time.Time, keep time.Duration) {
	for keep > 0 && ctx.Err() == nil && q.o.Full() {
		if keep /= 2; keep < time.Minute {
			keep = 0
		}
		q.purge(ctx, now.Add(-keep))
	}
}

// trim trims the log when its turn has come. A log that isn't right waits for the
// next turn too, so that it is told once a day; any other fault is tried again soon.
func (q *Quarantine) trim(ctx context.Context, now time.Time, keep time.Duration) error {
	last, err := q.store.Mark(ctx, markTrimmed)
	if err != nil {
		return err
	}
	if since := now.Sub(last); since >= 0 && since < trimEvery(keep) {
		return nil
	}
	n, err := q.store.Trim(ctx, now.Add(-keep))
	if n > 0 {
		q.o.Logger.Info("trimmed the review log", "entries", n)
	}
	if err != nil && !errors.Is(err, spool.ErrLog) {
		return err
	}
	return errors.Join(err, q.store.SetMark(ctx, markTrimmed, now))
}

// trimEvery is how often a log kept for so long is trimmed. Each time is itself an
// entry: these must stay few among the others.
func trimEvery(keep time.Duration) time.Duration { return min(24*time.Hour, keep/10) }

// shorter is the shorter of two times, each of which may be 0: for ever.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
