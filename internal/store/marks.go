package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Mark implements spool.Marks.
func (s *Store) Mark(ctx context.Context, name string) (t time.Time, err error) {
	var at int64
	err = s.view(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT time FROM marks WHERE name = ?", name).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("read mark %s: %w", name, err)
	}
	return moment(at), nil
}

// SetMark implements spool.Marks.
func (s *Store) SetMark(ctx context.Context, name string, t time.Time) error {
	err := s.update(ctx, "mark", 0, func(b *batch) error {
		return b.exec("INSERT INTO marks (name, time) VALUES (?, ?) ON CONFLICT DO UPDATE SET time = excluded.time", name, nanos(t))
	})
	if err != nil {
		return fmt.Errorf("set mark %s: %w", name, err)
	}
	return nil
}
