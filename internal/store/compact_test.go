package store

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestCompactBesideReader: a program that reads the database keeps its log from being
// emptied, which isn't success.
func TestCompactBesideReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "a@gmail.com"), "x")
	s.Close()
	reader, err := outside(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	tx, err := reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM messages").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	c, err := connect(path, pragmas+"&_pragma=busy_timeout(1)")
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "VACUUM"); err != nil {
		t.Fatal(err)
	}
	if err := truncateLog(t.Context(), db); !errors.Is(err, errReading) {
		t.Errorf("truncateLog beside a reader = %v", err)
	}
	tx.Rollback()
	if err := truncateLog(t.Context(), db); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
}
