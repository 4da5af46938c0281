package store

import (
	"context"
	"fmt"
)

const (
	// shrinkPages is how many pages are given back in one operation, each of which
	// may mean to move another.
	shrinkPages = 256
	shrinkSome  = "PRAGMA incremental_vacuum(256)"
	pageBytes   = 4096 // SQLite's default

	incremental = 2 // auto_vacuum
)

// shrink gives free pages back to the file system, others being served in
// between. A file made without auto_vacuum is left: Compact mends it.
func (s *Store) shrink(ctx context.Context) error {
	var free int64
	for more := true; more; {
		more = false
		err := s.update(ctx, "shrink", shrinkPages*pageBytes, func(b *batch) (err error) {
			var mode, left int64
			if err := b.row("PRAGMA auto_vacuum", nil, &mode); err != nil {
				return err
			}
			if err := b.row("PRAGMA freelist_count", nil, &free); err != nil || mode != incremental || free == 0 {
				return err
			}
			if err := b.exec(shrinkSome); err != nil {
				return err
			}
			err = b.row("PRAGMA freelist_count", nil, &left)
			more = left > 0 && left < free
			return err
		})
		if err != nil {
			return fmt.Errorf("give space back to the file system: %w", err)
		}
	}
	if free == 0 {
		return nil
	}
	return s.update(ctx, "shrink", 0, func(b *batch) error {
		b.w.written = b.w.every // the file itself shrinks at a checkpoint
		return nil
	})
}
