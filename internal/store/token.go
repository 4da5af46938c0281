package store

import (
	"context"
	"time"

	"mailgate/internal/spool"
)

// IssueToken implements spool.Tokens. Those that have expired go at the same time.
func (s *Store) IssueToken(ctx context.Context, id string, hash [32]byte, expires time.Time) error {
	now := s.o.Now()
	return s.update(ctx, "token", 0, func(b *batch) error {
		var seq int64
		if id != "" {
			if err := b.row("SELECT seq FROM messages WHERE id = ?", []any{id}, &seq); err != nil {
				return notFound(err)
			}
		}
		if err := b.exec("DELETE FROM tokens WHERE expires <= ?", nanos(now)); err != nil {
			return err
		}
		return b.exec("INSERT INTO tokens (hash, id, expires) VALUES (?, ?, ?)", hash[:], id, nanos(expires))
	})
}

// RedeemToken implements spool.Tokens. Used, expired and unknown tokens take the
// same path; only the hash of the caller's token is compared, by the index, so
// what its timing tells is about hashes.
func (s *Store) RedeemToken(ctx context.Context, hash [32]byte) (id string, err error) {
	now := s.o.Now()
	err = s.update(ctx, "redeem", 0, func(b *batch) error {
		var expires int64
		err := b.row("DELETE FROM tokens WHERE hash = ? RETURNING id, expires", []any{hash[:]}, &id, &expires)
		if err == nil && expires <= nanos(now) {
			err = spool.ErrNotFound
		}
		return notFound(err)
	})
	if err != nil {
		return "", err
	}
	return id, nil
}
