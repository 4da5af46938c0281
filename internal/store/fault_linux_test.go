package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mailgate/internal/spool"
)

// TestFull: with no room, takes are refused as full and leave nothing, what needs
// no room goes on, and with room again takes do too.
func TestFull(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "x@gmail.com"), "kept")
	limitPages(t, s, 40)
	for _, size := range []int{pieceBytes / 2, pieceBytes, 40 * pieceBytes} {
		var wg sync.WaitGroup
		for range 8 { // in one group with one another
			wg.Go(func() {
				m := message(t, "x@gmail.com")
				err := s.Take(t.Context(), m, bytes.NewReader(bytesOf(size)))
				if !errors.Is(err, spool.ErrFull) || m.ID != "" {
					t.Errorf("%d bytes: %v, id %q", size, err, m.ID)
				}
			})
		}
		wg.Wait()
	}
	if n := count(t, s, "SELECT count(*) FROM messages"); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	if n := count(t, s, "SELECT count(*) FROM chunks") + count(t, s, "SELECT count(*) FROM loose"); n != 1 {
		t.Errorf("%d pieces and loose bodies, want 1", n)
	}
	if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Discarded}); err != nil {
		t.Errorf("Move on a full disk: %v", err)
	}
	verify(t, s, 2)
	limitPages(t, s, 1<<30)
	take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", 3*pieceBytes))
	verify(t, s, 3)
	if err := s.Err(); err != nil {
		t.Errorf("stopped: %v", err)
	}
}

// TestFullDisk is the same with the kernel's own answer, in a child process.
func TestFullDisk(t *testing.T) {
	path, isChild := childDB()
	if !isChild {
		runChild(t, child(t, "TestFullDisk", filepath.Join(t.TempDir(), "mailgate.db")))
		return
	}
	s := open(t, path, Options{})
	id := take(t, s, message(t, "x@gmail.com"), "kept")
	failSyscalls(t, syscall.ENOSPC, unix.SYS_PWRITE64)
	for _, size := range []int{1, 3 * pieceBytes} {
		if err := s.Take(t.Context(), message(t, "x@gmail.com"), bytes.NewReader(bytesOf(size))); !errors.Is(err, spool.ErrFull) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := s.Err(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if got := content(t, s, id); string(got) != "kept" {
		t.Errorf("content = %q", got)
	}
	verify(t, s, 1)
}

// stopping runs the test of that name in a child process, has it fail as told
// when a message is there, and checks that the store stops for good, that
// nothing is said to be taken, and that all is there at the next start.
func stopping(t *testing.T, name string, fail func()) {
	path, isChild := childDB()
	if !isChild {
		path = filepath.Join(t.TempDir(), "mailgate.db")
		runChild(t, child(t, name, path))
		s := open(t, path, Options{})
		got, err := s.List(t.Context(), spool.Filter{Order: spool.Oldest, Limit: 1})
		if err != nil || len(got) != 1 || string(content(t, s, got[0].ID)) != "kept" {
			t.Errorf("after the restart: %v, %v", got, err)
		}
		if _, err := s.VerifyLog(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	s := open(t, path, Options{})
	id := take(t, s, message(t, "x@gmail.com"), "kept")
	fail()
	m := message(t, "x@gmail.com")
	first := s.Take(t.Context(), m, strings.NewReader("lost"))
	if !errors.Is(first, spool.ErrStopped) || m.ID != "" {
		t.Errorf("Take = %v, id %q", first, m.ID)
	}
	if s.Err() == nil {
		t.Fatal("the store goes on")
	}
	<-s.Stopped()
	ctx := t.Context()
	_, get := s.Get(ctx, id)
	_, list := s.List(ctx, spool.Filter{})
	_, redeem := s.RedeemToken(ctx, [32]byte{})
	for name, err := range map[string]error{
		"Take": s.Take(ctx, message(t, "x@gmail.com"), strings.NewReader("x")),
		"Move": s.Move(ctx, spool.Move{ID: id, From: spool.Held, Into: spool.Queued}),
		"Get":  get, "List": list, "RedeemToken": redeem,
	} {
		if !errors.Is(err, spool.ErrStopped) || !strings.Contains(err.Error(), "SQLITE_IOERR") && !strings.Contains(err.Error(), "disk I/O") {
			t.Errorf("%s = %v", name, err)
		}
	}
}

func TestFsyncError(t *testing.T) {
	stopping(t, "TestFsyncError", func() {
		failSyscalls(t, syscall.EIO, unix.SYS_FSYNC, unix.SYS_FDATASYNC)
	})
}

func TestWriteError(t *testing.T) {
	stopping(t, "TestWriteError", func() {
		failSyscalls(t, syscall.EIO, unix.SYS_PWRITE64)
	})
}

// TestFileTooLarge: a limit on the size of files is met as a write error.
func TestFileTooLarge(t *testing.T) {
	stopping(t, "TestFileTooLarge", func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCheckpointError: an fsync that fails while the log is copied into the
// database stops the store too, though no caller waits for it.
func TestCheckpointError(t *testing.T) {
	path, isChild := childDB()
	if !isChild {
		path = filepath.Join(t.TempDir(), "mailgate.db")
		runChild(t, child(t, "TestCheckpointError", path))
		verify(t, open(t, path, Options{}), 0)
		return
	}
	s := open(t, path, Options{CrashPoint: func(name string) {
		if name == "before-checkpoint" {
			failSyscalls(t, syscall.EIO, unix.SYS_FSYNC, unix.SYS_FDATASYNC)
		}
	}})
	if err := s.update(t.Context(), "test", checkpointBytes, func(b *batch) error {
		return b.exec("INSERT INTO evidence (hash, data) VALUES (x'00', x'00')")
	}); err != nil {
		t.Fatal(err)
	}
	<-s.Stopped()
	if err := s.Take(t.Context(), message(t, "x@gmail.com"), strings.NewReader("x")); !errors.Is(err, spool.ErrStopped) {
		t.Errorf("Take = %v", err)
	}
}

// TestReadOnly: as a user who may not write, the store does not start. A child
// process becomes that user, since root may always write.
func TestReadOnly(t *testing.T) {
	if path, isChild := childDB(); isChild {
		_, err := Open(t.Context(), "sqlite:"+path, Options{})
		if err == nil || !errors.Is(err, os.ErrPermission) {
			t.Errorf("Open = %v", err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "mailgate-store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700); os.RemoveAll(dir) })
	path := filepath.Join(dir, "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "x@gmail.com"), "kept")
	s.Close()
	binary := filepath.Join(dir, "test") // the tests' own may be out of the user's reach
	copyFile(t, os.Args[0], binary, 0o755)

	for name, mode := range map[string][3]os.FileMode{ // directory, database, lock file
		"directory": {0o555, 0o444, 0o444},
		"database":  {0o777, 0o444, 0o666},
	} {
		t.Run(name, func(t *testing.T) {
			for i, f := range []string{dir, path, path + ".lock"} {
				if err := os.Chmod(f, mode[i]); err != nil {
					t.Fatal(err)
				}
			}
			cmd := child(t, "TestReadOnly", path)
			cmd.Path, cmd.Dir = binary, dir
			if os.Getuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			runChild(t, cmd)
		})
	}
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamaged: a damaged database is refused and not touched.
func TestDamaged(t *testing.T) {
	eachDamage(t, []string{"header", "pages", "half", "text"}, func(t *testing.T, _, path string, bad []byte) {
		_, err := Open(t.Context(), "sqlite:"+path, Options{})
		if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), ".recover") {
			t.Errorf("Open = %v", err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, bad) {
			t.Error("the file was changed")
		}
	})
}

// TestDamagedKeepsWAL: what a damaged database has not yet taken over from its WAL
// stays there.
func TestDamagedKeepsWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", 200000))
	s.Close()
	s = open(t, path, Options{})
	take(t, s, message(t, "x@gmail.com"), "in the WAL")
	bad := filepath.Join(t.TempDir(), "mailgate.db")
	copyFile(t, path, bad, 0o600)
	copyFile(t, path+"-wal", bad+"-wal", 0o600)
	file, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	clear(file[len(file)-10*8192:])
	if err := os.WriteFile(bad, file, 0o600); err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(bad + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatalf("WAL: %d bytes, %v", len(wal), err)
	}
	if _, err := Open(t.Context(), "sqlite:"+bad, Options{}); !errors.Is(err, errDamaged) {
		t.Errorf("Open = %v", err)
	}
	if after, _ := os.ReadFile(bad); !bytes.Equal(after, file) {
		t.Error("the file was changed")
	}
	if after, _ := os.ReadFile(bad + "-wal"); !bytes.Equal(after, wal) {
		t.Error("the WAL was changed")
	}
}

// TestDamagedWhileRunning: what is found damaged later stops the store.
func TestDamagedWhileRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	var ids []string
	for range 30 {
		ids = append(ids, take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", 100000)))
	}
	s.Close()
	s = open(t, path, Options{}) // nothing in the caches
	dd := exec.Command("dd", "if=/dev/zero", "of="+path, "bs=4096", "seek=1", "count=600", "conv=notrunc")
	if out, err := dd.CombinedOutput(); err != nil { // by another process, whose close takes no locks away here
		t.Fatalf("%v: %s", err, out)
	}
	var err error
	for _, id := range ids {
		if _, err = s.Get(t.Context(), id); err != nil {
			break
		}
	}
	if !errors.Is(err, spool.ErrStopped) || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("Get = %v", err)
	}
	if err := s.Take(t.Context(), message(t, "x@gmail.com"), strings.NewReader("x")); !errors.Is(err, spool.ErrStopped) {
		t.Errorf("Take = %v", err)
	}
}

// TestBodyDamaged: bytes that are not those taken are not handed out as if they
// were.
func TestBodyDamaged(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "x@gmail.com"), "the original")
	raw(t, s, "DROP TRIGGER chunks_unchanged", "UPDATE chunks SET data = CAST('The original' AS BLOB)")
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := new(bytes.Buffer).ReadFrom(r); !errors.Is(err, errBody) {
		t.Errorf("read: %v", err)
	}
}
