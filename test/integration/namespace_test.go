//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// binary is mailgate, built once for all tests.
var binary string

// binaryVariable names it in the environment of the process that runs the tests.
const binaryVariable = "MAILGATE_INTEGRATION_BINARY"

// TestMain builds mailgate and runs the tests in a process with namespaces of its own.
// So no port of theirs is taken, their routes are nobody else's, and however they end,
// no server is left behind: some leave their session, or change their user, which
// undoes Pdeathsig.
func TestMain(m *testing.M) {
	if binary = os.Getenv(binaryVariable); binary != "" {
		if err := settle(); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := runInside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

// runInside runs this program again, and returns its exit code.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("must be root, to start Postfix and to serve DNS on port 53")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dir, err := os.MkdirTemp("", "mailgate-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // for Postfix's own user
		return 1, err
	}
	program := filepath.Join(dir, "mailgate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "mailgate/cmd/mailgate").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build mailgate: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	tests := exec.CommandContext(ctx, self, os.Args[1:]...)
	tests.Env = append(os.Environ(), binaryVariable+"="+program, "TMPDIR="+dir)
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	tests.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL, // sent when the thread ends, so this stays on one
	}
	runtime.LockOSThread()
	err = tests.Run()
	var ended *exec.ExitError
	switch {
	case errors.Is(err, syscall.EPERM):
		return 1, fmt.Errorf("namespaces for the tests: %w; in a container, this needs SYS_ADMIN and NET_ADMIN", err)
	case ctx.Err() != nil:
		return 1, errors.New("interrupted")
	case errors.As(err, &ended) && ended.Exited():
		return ended.ExitCode(), nil
	}
	return 0, err
}

// settle makes the new namespaces fit to live in: a /proc of these processes, and the
// loopback device.
func settle() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}
