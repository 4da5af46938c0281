//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a condition may take to come true. Nothing is asserted
// about times; this only bounds the waiting, also on a machine with much else to do:
// where DNS was too slow once, the relay leaves a destination alone for two minutes.
const patience = 5 * time.Minute

// address returns 127.64.a.b.
func address(a, b int) string { return fmt.Sprintf("127.64.%d.%d", a, b) }

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

// becomes waits until something is as wanted, or else tells what it was last.
func becomes(t *testing.T, what, want string, now func() string) {
	t.Helper()
	last := ""
	defer func() {
		if last != want {
			t.Logf("%s: %s", what, last)
		}
	}()
	eventually(t, fmt.Sprintf("%s to be %q", what, want), func() bool {
		last = now()
		return last == want
	})
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
