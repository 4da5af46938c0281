//go:build integration

package integration

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// lines reads SMTP replies.
type lines struct{ r *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReader(r)} }

// expect reads one reply and fails the test if its code is another.
func (l *lines) expect(t *testing.T, code string) {
	t.Helper()
	for {
		line, err := l.r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %s: %v", code, err)
		}
		if !strings.HasPrefix(line, code) {
			t.Fatalf("server answers %q, want %s", line, code)
		}
		if len(line) > 3 && line[3] != '-' {
			return
		}
	}
}
