package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damages are ways to damage a database.
var damages = map[string]func([]byte) []byte{
	"header": func(b []byte) []byte { copy(b, "this is no database"); return b },
	"pages":  func(b []byte) []byte { clear(b[4096*2 : 4096*9]); return b },
	"bodies": func(b []byte) []byte { clear(b[len(b)/4 : len(b)/2]); return b },
	"half":   func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
	"text":   func([]byte) []byte { return []byte(strings.Repeat("hello\n", 100)) },
}

// eachDamage runs a test with a database damaged in each of some ways.
func eachDamage(t *testing.T, names []string, do func(t *testing.T, name, path string, bad []byte)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	for range 30 {
		take(t, s, message(t, "a@gmail.com"), strings.Repeat("z", 100000))
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			bad := damages[name](bytes.Clone(whole))
			path := filepath.Join(t.TempDir(), "mailgate.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			do(t, name, path, bad)
		})
	}
}
