package store

import (
	"context"
	"database/sql"
)

// sweepRows is how many rows are looked at in one operation.
const sweepRows = 512

// sweep forgets what forgotten messages shared with others, if no other has it:
// pairs of domains, causes and replies.
func (s *Store) sweep(ctx context.Context) error {
	if !s.sweeping.TryLock() {
		return nil // another Trim does it
	}
	defer s.sweeping.Unlock()
	if err := s.sweepIdentities(ctx); err != nil {
		return err
	}
	if err := s.update(ctx, "sweep", 0, func(b *batch) error {
		return b.exec("DELETE FROM causes WHERE id NOT IN (SELECT cause FROM tallies)")
	}); err != nil {
		return err
	}
	return s.sweepReplies(ctx)
}

func (s *Store) sweepIdentities(ctx context.Context) error {
	for from, last := int64(0), int64(1); from < last; from += sweepRows {
		err := s.update(ctx, "sweep", 0, func(b *batch) error {
			if err := b.row("SELECT coalesce(max(id), 0) FROM identities", nil, &last); err != nil {
				return err
			}
			return b.exec(`DELETE FROM identities WHERE id > ? AND id <= ?
				AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.identity = identities.id)`, from, from+sweepRows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepReplies looks for unused replies beside the writer, for it takes a look at
// all recipients. The writer takes down those that come into use meanwhile.
func (s *Store) sweepReplies(ctx context.Context) error {
	if err := s.watchReplies(ctx, map[int64]bool{}); err != nil {
		return err
	}
	defer s.watchReplies(context.WithoutCancel(ctx), nil)
	var unused []int64
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		unused, err = column[int64](tx.QueryContext(ctx, "SELECT id FROM replies WHERE id NOT IN (SELECT reply FROM recipients)"))
		return err
	})
	for len(unused) > 0 && err == nil {
		some := unused[:min(len(unused), sweepRows)]
		unused = unused[len(some):]
		err = s.update(ctx, "sweep", 0, func(b *batch) error { return b.dropReplies(some) })
	}
	return err
}

// watchReplies has the writer note the replies that recipients are given; nil: no
// more.
func (s *Store) watchReplies(ctx context.Context, used map[int64]bool) error {
	return s.update(ctx, "sweep", 0, func(b *batch) error {
		b.w.replied = used
		return nil
	})
}

// dropReplies removes replies, save those that came into use.
func (b *batch) dropReplies(ids []int64) error {
	for _, id := range ids {
		if b.w.replied[id] {
			continue
		}
		if err := b.exec("DELETE FROM replies WHERE id = ?", id); err != nil {
			return err
		}
	}
	return nil
}
