package store

import (
	"context"
	"database/sql"
)

// batch is the transaction an operation of the writer works in. Its statements
// are prepared once and kept, so only constant SQL may be given to it. They run
// without a deadline: to break one off would undo the whole group.
type batch struct {
	w     *writer
	known map[any]int64 // keys that keyOf returned
}

func (b *batch) prepare(query string) (*sql.Stmt, error) {
	if stmt := b.w.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := b.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	b.w.stmts[query] = stmt
	return stmt, nil
}

func (b *batch) exec(query string, args ...any) error {
	_, err := b.run(query, args)
	return err
}

// change is exec that says how many rows it changed.
func (b *batch) change(query string, args ...any) (int64, error) {
	r, err := b.run(query, args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// insert is exec that returns the new row's key.
func (b *batch) insert(query string, args ...any) (int64, error) {
	r, err := b.run(query, args)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func (b *batch) run(query string, args []any) (sql.Result, error) {
	stmt, err := b.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(context.Background(), args...)
}

// row reads one row; sql.ErrNoRows when there is none.
func (b *batch) row(query string, args []any, into ...any) error {
	stmt, err := b.prepare(query)
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(context.Background(), args...).Scan(into...)
}

// query reads rows, which the caller closes.
func (b *batch) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := b.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// each calls scan for every row and closes rows.
func each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
