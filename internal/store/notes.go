package store

import (
	"context"
	"database/sql"
	"fmt"

	"mailgate/internal/spool"
)

// Notes implements spool.Notes.
func (s *Store) Notes(ctx context.Context, kind string) ([]spool.Note, error) {
	var notes []spool.Note
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT name, data, until FROM notes WHERE kind = ? AND (until = 0 OR until > ?) ORDER BY name",
			kind, nanos(s.o.Now()))
		return each(rows, err, func(rows *sql.Rows) error {
			n := spool.Note{Kind: kind}
			var until int64
			err := rows.Scan(&n.Name, &n.Data, &until)
			n.Until = moment(until)
			notes = append(notes, n)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read notes of kind %s: %w", kind, err)
	}
	return notes, nil
}

// KeepNote implements spool.Notes. Those that have ended go at the same time.
func (s *Store) KeepNote(ctx context.Context, n spool.Note, entry *spool.LogEntry) error {
	now := s.o.Now()
	err := s.update(ctx, "mark", len(n.Data), func(b *batch) error {
		if err := b.exec("DELETE FROM notes WHERE kind = ? AND until <> 0 AND until <= ?", n.Kind, nanos(now)); err != nil {
			return err
		}
		err := b.exec(`INSERT INTO notes (kind, name, data, until) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET data = excluded.data, until = excluded.until`, n.Kind, n.Name, n.Data, nanos(n.Until))
		if err != nil || entry == nil {
			return err
		}
		return b.log(*entry)
	})
	if err != nil {
		return fmt.Errorf("keep note %s of kind %s: %w", n.Name, n.Kind, err)
	}
	return nil
}

// DropNote implements spool.Notes.
func (s *Store) DropNote(ctx context.Context, kind, name string, entry *spool.LogEntry) error {
	err := s.update(ctx, "mark", 0, func(b *batch) error {
		n, err := b.change("DELETE FROM notes WHERE kind = ? AND name = ?", kind, name)
		if err != nil || n == 0 || entry == nil {
			return err
		}
		return b.log(*entry)
	})
	if err != nil {
		return fmt.Errorf("drop note %s of kind %s: %w", name, kind, err)
	}
	return nil
}
