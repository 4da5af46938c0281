package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestGiveName: a name that is taken stays with what has it, and one that is given is
// the file's only one.
func TestGiveName(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, name := range []string{from, to} {
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := giveName(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if b, err := os.ReadFile(to); string(b) != to || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	os.Remove(to)
	if err := giveName(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(from); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
	if b, err := os.ReadFile(to); string(b) != from || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
