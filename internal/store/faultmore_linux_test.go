package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailgate/internal/spool"
)

// TestRemountedReadOnly: a file system that the kernel makes read-only after an
// error of the disk stops the store.
func TestRemountedReadOnly(t *testing.T) {
	stopping(t, "TestRemountedReadOnly", func() {
		failSyscalls(t, syscall.EROFS, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE)
	})
}

// TestReadOnlyFileSystem: on one that is read-only already, it doesn't start.
func TestReadOnlyFileSystem(t *testing.T) {
	path, isChild := childDB()
	if !isChild {
		path = filepath.Join(t.TempDir(), "mailgate.db")
		s := open(t, path, Options{})
		id := take(t, s, message(t, "x@gmail.com"), "kept")
		s.Close()
		runChild(t, child(t, "TestReadOnlyFileSystem", path))
		if got := string(content(t, open(t, path, Options{}), id)); got != "kept" {
			t.Errorf("content = %q", got)
		}
		return
	}
	readOnlyFiles(t)
	for _, path := range []string{path, filepath.Join(filepath.Dir(path), "new", "mailgate.db")} {
		if _, err := Open(t.Context(), "sqlite:"+path, Options{}); !errors.Is(err, syscall.EROFS) {
			t.Errorf("Open(%s) = %v", path, err)
		}
	}
}

// TestFullWhileGivingBack: what would give room fails for want of it, without
// harm, and works with the next try.
func TestFullWhileGivingBack(t *testing.T) {
	path, isChild := childDB()
	if !isChild {
		path = filepath.Join(t.TempDir(), "mailgate.db")
		runChild(t, child(t, "TestFullWhileGivingBack", path))
		s := open(t, path, Options{})
		sound(t, s)
		if n, err := s.Trim(t.Context(), time.Now().Add(time.Hour)); n != 20 || err != nil {
			t.Errorf("Trim = %d, %v", n, err)
		}
		sound(t, s)
		checkpointed(t, s)
		if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
			t.Errorf("%v, %v", info, err)
		}
		return
	}
	s := open(t, path, Options{})
	for range 10 {
		move(t, s, take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", 2*pieceBytes)), spool.Held, spool.Discarded)
	}
	checkpointed(t, s)
	later := time.Now().Add(time.Hour)
	if _, err := s.purge(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	failSyscalls(t, syscall.ENOSPC, unix.SYS_PWRITE64)
	_, purge := s.Purge(t.Context(), later)
	_, trim := s.Trim(t.Context(), later)
	for name, err := range map[string]error{"shrink": s.shrink(t.Context()), "Purge": purge, "Trim": trim} {
		if !errors.Is(err, spool.ErrFull) {
			t.Errorf("%s = %v", name, err)
		}
	}
	if err := s.Err(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	verify(t, s, 20)
}

// TestBackupFails: a backup that fails leaves nothing that looks like one.
func TestBackupFails(t *testing.T) {
	for name, c := range map[string]struct {
		errno syscall.Errno
		calls []uintptr
	}{
		"full":  {syscall.ENOSPC, []uintptr{unix.SYS_PWRITE64}},
		"write": {syscall.EIO, []uintptr{unix.SYS_PWRITE64}},
		"fsync": {syscall.EIO, []uintptr{unix.SYS_FSYNC, unix.SYS_FDATASYNC}},
		"name":  {syscall.EIO, []uintptr{unix.SYS_RENAMEAT2}},
	} {
		path, isChild := childDB()
		if !isChild {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "mailgate.db")
				s := open(t, path, Options{})
				take(t, s, message(t, "x@gmail.com"), "kept")
				runChild(t, child(t, "TestBackupFails", path, "MAILGATE_STORE_TEST_FAULT="+name))
				if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*copy*")); len(left) != 0 || err != nil {
					t.Errorf("left behind: %v, %v", left, err)
				}
				if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 || err != nil {
					t.Errorf("left behind: %v, %v", left, err)
				}
				sound(t, s)
			})
			continue
		}
		if os.Getenv("MAILGATE_STORE_TEST_FAULT") != name {
			continue
		}
		failSyscalls(t, c.errno, c.calls...)
		if err := Backup(t.Context(), "sqlite:"+path, filepath.Join(filepath.Dir(path), "copy.db"), nil); err == nil {
			t.Error("no error")
		}
	}
}

// TestBackupNamed: a file system may know no hard links, or no renaming that replaces
// nothing; a kernel neither.
func TestBackupNamed(t *testing.T) {
	for name, c := range map[string]struct {
		errno syscall.Errno
		call  uintptr
	}{
		"no links":  {syscall.EPERM, unix.SYS_LINKAT},
		"no flags":  {syscall.EINVAL, unix.SYS_RENAMEAT2},
		"no rename": {syscall.ENOSYS, unix.SYS_RENAMEAT2},
	} {
		path, isChild := childDB()
		if !isChild {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "mailgate.db")
				s := open(t, path, Options{})
				id := take(t, s, message(t, "x@gmail.com"), "kept")
				runChild(t, child(t, "TestBackupNamed", path, "MAILGATE_STORE_TEST_FAULT="+name))
				copied := open(t, filepath.Join(filepath.Dir(path), "copy.db"), Options{})
				if got := string(content(t, copied, id)); got != "kept" {
					t.Errorf("content = %q", got)
				}
			})
			continue
		}
		if os.Getenv("MAILGATE_STORE_TEST_FAULT") != name {
			continue
		}
		failSyscalls(t, c.errno, c.call)
		if err := Backup(t.Context(), "sqlite:"+path, filepath.Join(filepath.Dir(path), "copy.db"), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestDamagedLog: damage that only the log's readers meet stops the store as well.
func TestDamagedLog(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, s *Store, id string) error{
		"Trim": func(t *testing.T, s *Store, _ string) error {
			_, err := s.Trim(t.Context(), time.Now().Add(time.Hour))
			return err
		},
		"VerifyLog": func(t *testing.T, s *Store, _ string) error {
			_, err := s.VerifyLog(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mailgate.db")
			s := open(t, path, Options{})
			var ids []string
			for range 30 {
				ids = append(ids, take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", 100000)))
			}
			move(t, s, ids[0], spool.Held, spool.Discarded)
			s.Close()
			s = open(t, path, Options{}) // nothing in the caches
			dd := exec.Command("dd", "if=/dev/zero", "of="+path, "bs=4096", "seek=1", "count=700", "conv=notrunc")
			if out, err := dd.CombinedOutput(); err != nil { // by another process, whose close takes no locks away here
				t.Fatalf("%v: %s", err, out)
			}
			if err := do(t, s, ids[1]); !errors.Is(err, spool.ErrStopped) || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("%s = %v", name, err)
			}
			if s.Err() == nil {
				t.Error("the store goes on")
			}
		})
	}
}
