package smtpd

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mailgate/internal/spool"
	"mailgate/internal/store"
)

const diskEnv = "MAILGATE_SMTPD_TEST_DB"

// A disk that is full, read-only or broken: the client is told to come again, nothing
// of the message is kept, and what was answered 250 before is there afterwards.
func TestDisk(t *testing.T) {
	if path, is := os.LookupEnv(diskEnv); is {
		var errno int
		if _, err := fmt.Sscan(os.Getenv(diskEnv+"_ERRNO"), &errno); err != nil {
			t.Fatal(err)
		}
		failingDisk(t, path, syscall.Errno(errno))
		return
	}
	for name, errno := range map[string]syscall.Errno{"full": syscall.ENOSPC, "over quota": syscall.EDQUOT, "read-only": syscall.EROFS, "broken": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mailgate.db")
			cmd := exec.Command(os.Args[0], "-test.run=^TestDisk$", "-test.v", "-test.count=1", "-test.timeout=10m")
			cmd.Env = append(os.Environ(), diskEnv+"="+path, fmt.Sprintf("%s_ERRNO=%d", diskEnv, errno), "GORACE=atexit_sleep_ms=0")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestDisk") {
				t.Fatalf("%v\n%s", err, out)
			}
			s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			all, err := s.List(t.Context(), spool.Filter{Order: spool.Oldest})
			if err != nil || len(all) != 1 {
				t.Fatalf("%d messages, want 1; %v", len(all), err)
			}
			body, err := s.Open(t.Context(), all[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if content, err := io.ReadAll(body); string(content) != letter || err != nil {
				t.Errorf("%q, %v", content, err)
			}
		})
	}
}

// failingDisk takes one message, and then has every write to a file fail.
func failingDisk(t *testing.T, path string, errno syscall.Errno) {
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *Config, _ *Listener) { c.Gate, c.Custody = openGate{}, s })
	k := r.talk(t)
	if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0 taken") {
		t.Fatal(got)
	}
	failWrites(t, errno)
	for _, message := range []string{letter, sized(100_000), sized(1_000_000)} {
		if got := k.deliver(message); !strings.HasPrefix(got, "452 4.3.1") {
			t.Errorf("a message of %d bytes: %q", len(message), got)
		}
		k.envelope()
		if got := k.chunks(message, 65536, true); !strings.HasPrefix(got, "452 4.3.1") {
			t.Errorf("a message of %d bytes in chunks: %q", len(message), got)
		}
	}
	k.say("QUIT", "221")
}

// failWrites makes the kernel answer every positioned write of this process, as SQLite
// makes them, with an error, from now to its end.
func failWrites(t *testing.T, errno syscall.Errno) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_PWRITE64},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // no_new_privs is the thread's, and goes to the others with the filter
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); e != 0 {
		t.Fatal(e)
	}
	runtime.KeepAlive(filter)
}
