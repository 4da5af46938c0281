package quarantine

import (
	"context"
	"time"
)

// retain forgets what Policy.KeepBodies and Policy.KeepLog no longer keep. A body
// goes no later than what is known of its message.
func (q *Quarantine) retain(ctx context.Context) {
	p, now := q.o.Policy(), q.o.Now()
	if keep := shorter(p.KeepBodies, p.KeepLog); keep > 0 {
		n, err := q.store.Purge(ctx, now.Add(-keep))
		if err != nil && ctx.Err() == nil {
			q.o.Logger.Error("delete old bodies", "error", err)
		}
		if n > 0 {
			q.o.Logger.Info("deleted bodies of finished messages", "messages", n)
		}
	}
	if p.KeepLog > 0 {
		n, err := q.store.Trim(ctx, now.Add(-p.KeepLog))
		if err != nil && ctx.Err() == nil {
			q.o.Logger.Error("trim the review log", "error", err)
		}
		if n > 0 {
			q.o.Logger.Info("trimmed the review log", "entries", n)
		}
	}
}

// shorter is the shorter of two times, each of which may be 0: for ever.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
