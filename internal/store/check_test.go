package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestCheck: a sound store is found sound, open or not, and nothing of it changes;
// what is wrong is named.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ change, step, want string }{
		"sound":           {"", "", ""},
		"tally":           {"UPDATE tallies SET n = n + 1 WHERE state = 'discarded'", "tallies", "2 discarded recipients of identity 1 are counted, and 1 are there"},
		"tally gone":      {"DELETE FROM tallies", "tallies", "0 held"},
		"body":            {"DROP TRIGGER chunks_unchanged; UPDATE chunks SET data = CAST('y' AS BLOB) WHERE length(data) = 1", "bodies", "digest differs"},
		"body short":      {"DELETE FROM chunks WHERE at & 1048575 = 1", "bodies", "bytes, 300000 were taken"},
		"body of none":    {"INSERT INTO chunks VALUES (1 << 40, x'00')", "bodies", "body 1048576 is of no message"},
		"body gone":       {"UPDATE messages SET body = NULL WHERE seq = 1; DELETE FROM chunks WHERE at >> 20 = 1", "bodies", "is held or queued, and its body is gone"},
		"evidence":        {"UPDATE evidence SET data = x'00'", "evidence", "evidence 1 is not the one that was taken"},
		"not indexed":     {"DELETE FROM search WHERE rowid = 1", "words", "a search may miss it"},
		"other subject":   {"UPDATE messages SET subject = 'Byebye' WHERE seq = 1", "words", "a search may miss it"},
		"other size":      {"UPDATE messages SET subject = 'Hello and more' WHERE seq = 1", "words", "a search may miss it"},
		"other cause":     {"INSERT INTO causes VALUES (9, 'refused', 'x', '', ''); UPDATE recipients SET cause = 9 WHERE message = 1; DELETE FROM stale", "words", "a search may miss it"},
		"indexed of none": {"INSERT INTO search (rowid, grams) VALUES (7, 'x')", "words", "message number 7 is in the index of words and nowhere else"},
		"state":           {"UPDATE recipients SET state = 'delivered' WHERE state = 'queued'; UPDATE messages SET finished = 1 WHERE finished IS NULL", "states", "is delivered, the log says queued"},
		"never finished":  {"UPDATE messages SET finished = NULL", "states", "whether it is finished"},
		"early finished":  {"UPDATE messages SET finished = 1", "states", "whether it is finished"},
		"message removed": {"DELETE FROM recipients WHERE message = 1; DELETE FROM messages WHERE seq = 1", "states", "in the log and nowhere else"},
		"log":             {"DROP TRIGGER review_log_kept; DELETE FROM review_log WHERE n = 2", "log", "entry 2 is missing"},
		"reference":       {"PRAGMA foreign_keys = 0; UPDATE messages SET evidence = 77", "references", "messages"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, Options{limits: limits{tried: 1, indexed: 1}})
			held := message(t, "held@gmail.com")
			held.Evidence = []byte("{}")
			take(t, s, held, strings.Repeat("z", 300000))
			move(t, s, take(t, s, message(t, "out@gmail.com"), "x"), spool.Held, spool.Queued)
			move(t, s, take(t, s, message(t, "gone@gmail.com"), "x"), spool.Held, spool.Discarded)
			settle(t, s)
			if c.change != "" {
				for _, sql := range strings.Split(c.change, "; ") {
					outOfTransaction(t, s, sql)
				}
			}
			for _, running := range []bool{true, false} {
				if !running {
					s.Close()
				}
				before := files(t, s.path)
				var steps []string
				got, err := Check(t.Context(), "sqlite:"+s.path, func(step string, done, total int64) {
					if !slices.Contains(steps, step) {
						steps = append(steps, step)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if after := files(t, s.path); !bytes.Equal(before, after) {
					t.Error("the file was changed")
				}
				if want := "pages references tallies bodies evidence words states log"; strings.Join(steps, " ") != want {
					t.Errorf("steps %v", steps)
				}
				found := slices.ContainsFunc(got.Faults, func(f Fault) bool { return f.Step == c.step && strings.Contains(f.Text, c.want) })
				if (c.step == "") != (len(got.Faults) == 0) || c.step != "" && !found {
					t.Errorf("running=%t: %+v, want %q", running, got.Faults, c.want)
				}
				if c.step == "" && (got.Messages != 3 || got.Bodies != 3 || got.BodyBytes != 300002 || got.Chain.Last != 5 || got.Schema != got.Known) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// outOfTransaction runs SQL on the connection of the writer, which has nothing to do.
func outOfTransaction(t testing.TB, s *Store, sql string) {
	t.Helper()
	if _, err := s.w.conn.ExecContext(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// files is the bytes of a database with its WAL. Only their length and time are of
// interest where SQLite has it open, whose locks a close here would take away.
func files(t testing.TB, path string) []byte {
	t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 0 {
			all = info.ModTime().AppendFormat(append(all, byte(info.Size()), byte(info.Size()>>8), byte(info.Size()>>16)), time.RFC3339Nano)
		}
	}
	return all
}

// TestCheckDamaged: what can't be read is a fault, and faults have a bound.
func TestCheckDamaged(t *testing.T) {
	eachDamage(t, []string{"header", "pages", "bodies", "half"}, func(t *testing.T, name, path string, bad []byte) {
		got, err := Check(t.Context(), "sqlite:"+path, nil)
		if err != nil || len(got.Faults) == 0 || len(got.Faults) > maxFaults {
			t.Errorf("%d faults, %v", len(got.Faults), err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, bad) {
			t.Error("the file was changed")
		}
		if err := Backup(t.Context(), "sqlite:"+path, filepath.Join(t.TempDir(), "copy.db"), nil); err == nil && name != "bodies" {
			t.Error("a backup was made of it")
		}
		if name == "pages" || name == "half" {
			if _, err := Compact(t.Context(), "sqlite:"+path); !errors.Is(err, errDamaged) {
				t.Errorf("Compact = %v", err)
			}
		}
	})
}

func TestOutsideMissing(t *testing.T) {
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "none.db")
	_, check := Check(t.Context(), url, nil)
	_, compact := Compact(t.Context(), url)
	for name, err := range map[string]error{"Check": check, "Compact": compact, "Backup": Backup(t.Context(), url, filepath.Join(dir, "copy.db"), nil)} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.db") {
			t.Errorf("%s = %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBackup: a copy made while messages come in is whole, private, and one that
// can be started with.
func TestBackup(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "a@gmail.com"), "kept")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if err := s.Take(context.Background(), message(t, "b@gmail.com"), bytes.NewReader(bytesOf(2*pieceBytes))); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	dir := t.TempDir()
	dst := filepath.Join(dir, "o'copy.db")
	var told int64
	if err := Backup(t.Context(), "sqlite:"+s.path, dst, func(_, total int64) { told = total }); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	if told == 0 {
		t.Error("no progress was reported")
	}
	if info, err := os.Stat(dst); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := Backup(t.Context(), "sqlite:"+s.path, dst, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Backup = %v", err)
	}
	if left, err := os.ReadDir(dir); len(left) != 1 || err != nil {
		t.Errorf("beside it: %v, %v", left, err)
	}
	restored := open(t, dst, Options{})
	if got := string(content(t, restored, id)); got != "kept" {
		t.Errorf("content = %q", got)
	}
	if n := count(t, restored, "PRAGMA auto_vacuum"); n != incremental {
		t.Errorf("auto_vacuum = %d", n)
	}
	take(t, restored, message(t, "a@gmail.com"), "x")
	sound(t, restored)
	sound(t, s)
}

// TestCompact mends a file that never gave space back, and needs it for itself.
func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "an 'old' one", "mailgate.db")
	old, err := sql.Open("sqlite", path)
	if err == nil {
		err = os.Mkdir(filepath.Dir(path), 0o700)
	}
	if err == nil {
		_, err = old.Exec("CREATE TABLE x (y INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE x")
	}
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	s := open(t, path, Options{})
	if n := count(t, s, "PRAGMA auto_vacuum"); n != 0 {
		t.Fatalf("auto_vacuum = %d", n)
	}
	var ids []string
	for range 20 {
		ids = append(ids, take(t, s, message(t, "a@gmail.com"), strings.Repeat("z", 2*pieceBytes)))
	}
	for _, id := range ids[1:] {
		move(t, s, id, spool.Held, spool.Discarded)
	}
	if n, err := s.Purge(t.Context(), time.Now().Add(time.Hour)); n != 19 || err != nil {
		t.Errorf("Purge = %d, %v", n, err)
	}
	if _, err := Compact(t.Context(), "sqlite:"+path); !errors.Is(err, ErrInUse) {
		t.Errorf("Compact of an open store = %v", err)
	}
	s.Close()
	got, err := Compact(t.Context(), "sqlite:"+path)
	if err != nil || got.Before < 10<<20 || got.After > 2<<20 {
		t.Errorf("Compact = %+v, %v", got, err)
	}
	s = open(t, path, Options{})
	if n := count(t, s, "PRAGMA auto_vacuum"); n != incremental {
		t.Errorf("auto_vacuum = %d", n)
	}
	if got := content(t, s, ids[0]); len(got) != 2*pieceBytes {
		t.Errorf("content of %d bytes", len(got))
	}
	sound(t, s)
}

// TestOwners: root's look at another user's store leaves nothing that user can't
// open. Whoever isn't root does the same with their own.
func TestOwners(t *testing.T) {
	uid := 65534
	if os.Getuid() != 0 {
		uid = os.Getuid()
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "a@gmail.com"), "x")
	s.Close()
	os.Remove(path + ".lock")
	for _, name := range []string{dir, path} {
		if err := os.Chown(name, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	url := "sqlite:" + path
	if _, err := Check(t.Context(), url, nil); err != nil {
		t.Error(err)
	}
	if err := Backup(t.Context(), url, filepath.Join(dir, "copy.db"), nil); err != nil {
		t.Error(err)
	}
	if _, err := Compact(t.Context(), url); err != nil {
		t.Error(err)
	}
	if _, err := Check(t.Context(), url, nil); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) < 3 {
		t.Errorf("%v, %v", left, err)
	}
	for _, f := range left {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid || info.Mode().Perm() != 0o600 {
			t.Errorf("%s belongs to %d with mode %o", f.Name(), got, info.Mode().Perm())
		}
	}
}
