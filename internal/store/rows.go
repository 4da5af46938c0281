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

// keyOf returns the key that find finds, or that of the row add inserts.
func (b *batch) keyOf(find string, findArgs []any, add string, addArgs []any) (key int64, err error) {
	if err = b.row(find, findArgs, &key); errors.Is(err, sql.ErrNoRows) {
		return b.insert(add, addArgs...)
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
