package store

import (
	"database/sql"
	"errors"
	"time"
)

// nanos is how a time is stored; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// moment is the time that nanos stored.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// keyOf returns the key that find finds, or that of the row add inserts. what is the
// row in a type of its own: messages of one group have most such rows in common.
func (b *batch) keyOf(what any, find string, findArgs []any, add string, addArgs []any) (key int64, err error) {
	if key, ok := b.known[what]; ok {
		return key, nil
	}
	if err = b.row(find, findArgs, &key); errors.Is(err, sql.ErrNoRows) {
		key, err = b.insert(add, addArgs...)
	}
	if err == nil {
		if b.known == nil {
			b.known = map[any]int64{}
		}
		b.known[what] = key
	}
	return key, err
}

// column reads the only column of all rows.
func column[T any](rows *sql.Rows, err error) ([]T, error) {
	var all []T
	err = each(rows, err, func(rows *sql.Rows) error {
		var v T
		if err := rows.Scan(&v); err != nil {
			return err
		}
		all = append(all, v)
		return nil
	})
	return all, err
}
