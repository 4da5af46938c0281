package store

import (
	"context"
	"fmt"
	"time"
)

// purgeMessages is how many messages lose their bodies in one operation.
const purgeMessages = 64

// Purge implements spool.Purger. When it can't give the space back, it says so
// with the number of bodies that are gone nevertheless.
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	n, err := s.purge(ctx, before)
	if err == nil {
		err = s.shrink(ctx)
	}
	return n, err
}

// purge deletes bodies. They are first made loose, so that a crash leaves nothing
// behind.
func (s *Store) purge(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var n int
		var large []int64
		err := s.update(ctx, "purge", 0, func(b *batch) (err error) {
			n, large, err = b.purge(before)
			return err
		})
		for i := 0; i < len(large) && err == nil; i++ {
			err = s.drop(ctx, large[i])
		}
		if err != nil {
			return total, fmt.Errorf("delete bodies of finished messages: %w", err)
		}
		if total += n; n < purgeMessages {
			return total, nil
		}
	}
}

// purge detaches the bodies of some messages and deletes them; of large ones only
// the beginning, and the rest is for the caller.
func (b *batch) purge(before time.Time) (n int, large []int64, err error) {
	rows, err := b.query(`SELECT seq FROM messages WHERE finished < ? AND finished IS NOT NULL AND body IS NOT NULL
		ORDER BY finished LIMIT ?`, nanos(before), purgeMessages)
	seqs, err := column[int64](rows, err)
	if err != nil {
		return 0, nil, err
	}
	for _, seq := range seqs {
		body, more, err := b.purgeOne(seq)
		if err != nil {
			return 0, nil, err
		}
		if more {
			large = append(large, body)
		}
	}
	return len(seqs), large, nil
}

// purgeOne makes one body loose and deletes its beginning; more says that there is
// more of it.
func (b *batch) purgeOne(seq int64) (body int64, more bool, err error) {
	if err := b.row("SELECT body FROM messages WHERE seq = ?", []any{seq}, &body); err != nil {
		return 0, false, err
	}
	if err := b.exec("UPDATE messages SET body = NULL WHERE seq = ?", seq); err != nil {
		return 0, false, err
	}
	if err := b.exec("UPDATE relayed SET prefix = x'' WHERE message = ?", seq); err != nil {
		return 0, false, err
	}
	if err := b.exec("INSERT INTO loose (body) VALUES (?)", body); err != nil {
		return 0, false, err
	}
	more, err = b.dropSome(body)
	return body, more, err
}
