package quarantine

import "context"

// retain forgets what Policy.KeepBodies and Policy.KeepLog no longer keep.
func (q *Quarantine) retain(ctx context.Context) {
	p := q.o.Policy()
	if p.KeepBodies == 0 {
		return
	}
	n, err := q.store.Purge(ctx, q.o.Now().Add(-p.KeepBodies))
	if err != nil && ctx.Err() == nil {
		q.o.Logger.Error("delete old bodies", "error", err)
	}
	if n > 0 {
		q.o.Logger.Info("deleted bodies of finished messages", "messages", n)
	}
}
