package store

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:/var/lib/mailgate/mailgate.db":   "/var/lib/mailgate/mailgate.db",
		"sqlite:///var/lib/mailgate/mailgate.db": "/var/lib/mailgate/mailgate.db",
		"sqlite:/odd ?name#%41.db":               "/odd ?name#%41.db",
	} {
		if got, err := parse(url); got != want || err != nil {
			t.Errorf("parse(%q) = %q, %v", url, got, err)
		}
	}
	for url, want := range map[string]string{
		"postgres://h/db": "not supported yet", "postgresql://h/db": "not supported yet",
		"": "not of the form", "/var/lib/x.db": "not of the form", "sqlite:": "not of the form", "mysql:x": "not of the form",
	} {
		if _, err := Open(t.Context(), url, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want %q", url, err, want)
		}
	}
}

// TestOddPath: characters that mean something in SQLite's own names are taken as
// they are.
func TestOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?mode=memory#%41&.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "x@gmail.com"), "x")
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestModes: what is created is for the owner only, whatever SQLite adds beside it.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "mailgate")
	s := open(t, filepath.Join(dir, "mailgate.db"), Options{})
	take(t, s, message(t, "x@gmail.com"), "x")
	for name, want := range map[string]os.FileMode{
		"": 0o700, "mailgate.db": 0o600, "mailgate.db-wal": 0o600, "mailgate.db-shm": 0o600, "mailgate.db.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

// TestLocked: one process, or one Open, at a time.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	if _, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "another mailgate") {
		t.Errorf("second Open = %v", err)
	}
	take(t, s, message(t, "x@gmail.com"), "still works")
	s.Close()
	open(t, path, Options{})
}

func TestWALAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	if err := os.WriteFile(path+"-wal", []byte("mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "-wal is there without") {
		t.Errorf("Open = %v", err)
	}
	if b, err := os.ReadFile(path + "-wal"); string(b) != "mail" {
		t.Errorf("the WAL is now %q, %v", b, err)
	}
}

// TestNewerSchema: a database of a later mailgate is refused, and again.
func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	raw(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	s.Close()
	for range 2 {
		if _, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "version 999") {
			t.Errorf("Open = %v", err)
		}
	}
}

// TestForeign: another program's database is refused, and stays as it was.
func TestForeign(t *testing.T) {
	for name, schema := range map[string]string{
		"tables":             "CREATE TABLE users (name TEXT)",
		"a name of ours":     "CREATE TABLE messages (text TEXT)",
		"migrated by goose":  "CREATE TABLE goose_db_version (version_id INTEGER); CREATE TABLE users (name TEXT)",
		"in WAL mode":        "PRAGMA journal_mode = wal; CREATE TABLE users (name TEXT)",
		"a log of that name": "CREATE TABLE review_log (text TEXT)",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "other.db")
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(schema); err != nil {
				t.Fatal(err)
			}
			db.Close()
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "another program's") {
					t.Errorf("Open = %v", err)
				}
			}
			if after, err := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Errorf("the file has changed (%v)", err)
			}
			if wal, err := os.ReadFile(path + "-wal"); len(wal) > 0 {
				t.Errorf("a WAL of %d bytes, %v", len(wal), err)
			}
		})
	}
}

// TestHalfMade: a first start that was broken off goes on.
func TestHalfMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE x (y INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE x"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	take(t, open(t, path, Options{}), message(t, "x@gmail.com"), "x")
}

// TestAsserted: a connection without the settings durability needs is not used.
func TestAsserted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	for _, weak := range []string{"_synchronous=normal", "_synchronous=off", "_journal_mode=delete", "_foreign_keys=0"} {
		name, _, _ := strings.Cut(weak, "=")
		var settings []string
		for _, p := range strings.Split(pragmas, "&") {
			if !strings.HasPrefix(p, name) {
				settings = append(settings, p)
			}
		}
		c, err := connect(path, strings.Join(append(settings, weak), "&"))
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := c.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "is needed") {
			t.Errorf("%s: %v, %v", weak, conn, err)
		}
	}
}

// TestReadersCannotWrite: only the writer changes anything.
func TestReadersCannotWrite(t *testing.T) {
	s := fresh(t, Options{})
	if _, err := s.read.Exec("DELETE FROM messages"); err == nil {
		t.Error("a reader's connection wrote")
	}
}

func TestShape(t *testing.T) {
	s := fresh(t, Options{})
	for pragma, want := range map[string]int{"auto_vacuum": 2, "synchronous": 2, "query_only": 1} {
		if got := count(t, s, "PRAGMA "+pragma); got != want {
			t.Errorf("%s = %d, want %d", pragma, got, want)
		}
	}
}

// TestLoose: what a crash left of bodies that became no message is deleted at
// start.
func TestLoose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	id := take(t, s, message(t, "x@gmail.com"), "kept")
	in := &intake{s: s, content: errReader{errors.New("never read")}}
	for in.stored < 2*dropPieces+1 {
		in.piece.Reset()
		in.piece.WriteString("piece")
		if err := in.store(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open(t, path, Options{})
	if n := count(t, s, "SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM loose)"); n != 1 {
		t.Errorf("%d chunks and loose bodies, want 1", n)
	}
	if got := content(t, s, id); string(got) != "kept" {
		t.Errorf("content = %q", got)
	}
}
