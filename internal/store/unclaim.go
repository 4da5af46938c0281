package store

import (
	"context"
	"fmt"

	"mailgate/internal/spool"
)

// Unclaim implements spool.Queue.
func (s *Store) Unclaim(ctx context.Context, claims ...*spool.Claim) error {
	err := s.update(ctx, "void", 0, func(b *batch) error {
		for _, c := range claims {
			err := b.exec(`UPDATE deliveries SET due = next, leased = NULL WHERE destination = ? AND leased IS NOT NULL AND fence = ?
				AND message = (SELECT seq FROM messages WHERE id = ?)`, string(c.Destination), c.Fence, c.Message.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("give %d claims back: %w", len(claims), err)
	}
	return nil
}
