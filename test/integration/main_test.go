//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a condition may take to come true. Nothing is asserted
// about times; this only bounds the waiting.
const patience = 60 * time.Second

// binary is mailgate, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("must be root, to start Postfix and to serve DNS on port 53")
	}
	dir, err := os.MkdirTemp("", "mailgate-build-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "mailgate")
	out, err := exec.Command("go", "build", "-o", binary, "mailgate/cmd/mailgate").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build mailgate: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// address returns 127.N.a.b, where N differs between runs at the same time.
func address(a, b int) string {
	return fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%128, a, b)
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v in vain: %s", patience, what)
}

// makeDir makes a directory that Postfix's own user may enter, which those of
// t.TempDir are not.
func makeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailgate-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
