package store

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestMigrationFails: a step that fails half-way leaves nothing of itself, the steps
// before it stay, and the program that knows only those goes on with the store.
func TestMigrationFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	id := take(t, s, message(t, "a@gmail.com"), "kept")
	s.Close()
	for name, bad := range map[string]string{
		"fails":  "CREATE TABLE half (x INTEGER);\nUPDATE messages SET subject = 'lost';\nINSERT INTO nowhere VALUES (1);",
		"aborts": "CREATE TABLE half (x INTEGER);\nDELETE FROM tallies;\nDELETE FROM review_log;",
	} {
		t.Run(name, func(t *testing.T) {
			steps := ownStepsAnd(t, map[string]string{
				"90001_good.sql": "-- +goose Up\nCREATE TABLE IF NOT EXISTS good (x INTEGER);",
				"90002_bad.sql":  "-- +goose Up\n" + bad,
			})
			c, err := connect(path, pragmas)
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(c)
			if err := migrate(t.Context(), db, steps); err == nil || !strings.Contains(err.Error(), "to 90002") {
				t.Errorf("migrate = %v", err)
			}
			var version, half int
			if err := db.QueryRow("SELECT (SELECT max(version_id) FROM goose_db_version), (SELECT count(*) FROM sqlite_schema WHERE name = 'half')").Scan(&version, &half); err != nil {
				t.Fatal(err)
			}
			if version != 90001 || half != 0 {
				t.Errorf("version %d, %d tables of the step that failed", version, half)
			}
			if _, err := db.Exec("DELETE FROM goose_db_version WHERE version_id = 90001"); err != nil {
				t.Fatal(err)
			}
			db.Close()
			s := open(t, path, Options{})
			if m, err := s.Get(t.Context(), id); err != nil || m.Subject != "Hello" {
				t.Errorf("Get = %+v, %v", m, err)
			}
			take(t, s, message(t, "a@gmail.com"), "goes on")
			sound(t, s)
			s.Close()
		})
	}
}

// ownStepsAnd is the schema's steps with more after them.
func ownStepsAnd(t *testing.T, more map[string]string) fs.FS {
	t.Helper()
	own, err := ownSteps()
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{}
	for name, text := range more {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	names, err := fs.Glob(own, "*.sql")
	for _, name := range names {
		data, err := fs.ReadFile(own, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	if err != nil || len(names) < 2 {
		t.Fatalf("%v, %v", names, err)
	}
	return all
}

// TestHeadOfOldLog: a log from before its ends were noted gets them, and is whole.
func TestHeadOfOldLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	for _, table := range []string{"deliveries", "destinations", "relayed", "review_log_base", "review_log_head", "marks", "notes"} {
		raw(t, s, "DROP TABLE "+table)
	}
	raw(t, s, "DROP INDEX messages_to_trim")
	raw(t, s, "DROP INDEX messages_by_identity")
	raw(t, s, "DROP INDEX messages_by_evidence")
	raw(t, s, "DELETE FROM goose_db_version WHERE version_id >= 3")
	s.Close()
	s = open(t, path, Options{})
	verify(t, s, 2)
	take(t, s, message(t, "a@gmail.com"), "x")
	verify(t, s, 3)
}
