package store

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// TestMaxBytes: beyond the bound nothing is taken, all else goes on; it is told
// once, and once more when there is room.
func TestMaxBytes(t *testing.T) {
	c := newClock()
	var most atomic.Int64
	var log bytes.Buffer
	s := fresh(t, Options{Now: c.Now, MaxBytes: most.Load, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	body := strings.Repeat("z", 100<<10)
	var ids []string
	for range 3 {
		ids = append(ids, take(t, s, message(t, "a@gmail.com"), body))
	}
	usage := func() Usage {
		t.Helper()
		u, err := s.Usage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	used := usage().Used
	if used < 3*int64(len(body)) || used > 1<<20 {
		t.Errorf("used = %d", used)
	}
	most.Store(used + 64<<10)
	for range 3 {
		if err := s.Take(t.Context(), message(t, "a@gmail.com"), strings.NewReader(body)); !errors.Is(err, spool.ErrFull) {
			t.Errorf("Take = %v", err)
		}
	}
	if u := usage(); u.Full != (used > roomy(u.Max)) || u.Refused != 3 || u.Used != used || u.Max != most.Load() || u.File < used {
		t.Errorf("Usage = %+v, want %d used", u, used)
	}
	take(t, s, message(t, "a@gmail.com"), "a small one goes in")
	most.Store(usage().Used + 100)
	for range 3 {
		if err := s.Take(t.Context(), message(t, "a@gmail.com"), strings.NewReader(body)); !errors.Is(err, spool.ErrFull) {
			t.Errorf("Take = %v", err)
		}
	}
	if u := usage(); !u.Full || u.Refused != 6 {
		t.Errorf("Usage = %+v", u)
	}
	// What needs no room goes on.
	if err := s.IssueToken(t.Context(), ids[0], [32]byte{1}, c.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := s.SetMark(t.Context(), "x", c.Now()); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		move(t, s, id, spool.Held, spool.Discarded)
	}
	if n, err := s.Purge(t.Context(), c.add(time.Hour)); n != 3 || err != nil {
		t.Errorf("Purge = %d, %v", n, err)
	}
	if u := usage(); u.Full {
		t.Errorf("Usage = %+v", u)
	}
	take(t, s, message(t, "a@gmail.com"), body)
	for words, want := range map[string]int{"level=ERROR msg=\"the store is full": 1, "raise hold.max_bytes": 1, "has room again": 1} {
		if n := strings.Count(log.String(), words); n != want {
			t.Errorf("%q: told %d times, want %d:\n%s", words, n, want, log.String())
		}
	}
}

// TestMaxBytesLarge: a large body that doesn't fit is refused with its first
// piece if its size is known, and else leaves nothing.
func TestMaxBytesLarge(t *testing.T) {
	var points []string
	s := fresh(t, Options{MaxBytes: func() int64 { return 2 << 20 }, CrashPoint: func(name string) { points = append(points, name) }})
	body := bytesOf(5 << 20)
	if err := s.Take(t.Context(), message(t, "a@gmail.com"), bytes.NewReader(body)); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Take = %v", err)
	}
	for _, p := range points {
		if p == "chunk" {
			t.Error("a piece was stored of what can't fit")
		}
	}
	if err := s.Take(t.Context(), message(t, "a@gmail.com"), struct{ *onlyReader }{&onlyReader{bytes.NewReader(body)}}); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Take = %v", err)
	}
	if n := count(t, s, "SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM loose) + (SELECT count(*) FROM messages)"); n != 0 {
		t.Errorf("%d rows left", n)
	}
	if u, err := s.Usage(t.Context()); err != nil || u.Full || u.Refused != 2 {
		t.Errorf("Usage = %+v, %v", u, err)
	}
	take(t, s, message(t, "a@gmail.com"), string(body[:1<<20]))
}

// onlyReader hides the size of what it reads.
type onlyReader struct{ r *bytes.Reader }

func (r *onlyReader) Read(p []byte) (int, error) { return r.r.Read(p) }

// TestPurgeShrinks: what is purged is given back to the file system.
func TestPurgeShrinks(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	for range 20 {
		move(t, s, take(t, s, message(t, "a@gmail.com"), strings.Repeat("z", 2*pieceBytes)), spool.Held, spool.Discarded)
	}
	kept := take(t, s, message(t, "a@gmail.com"), "kept") // behind them in the file
	checkpointed(t, s)
	size := func() int64 {
		info, err := os.Stat(s.path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	full := size()
	if n, err := s.Purge(t.Context(), c.add(time.Hour)); n != 20 || err != nil {
		t.Fatalf("Purge = %d, %v", n, err)
	}
	checkpointed(t, s)
	if now := size(); full < 10<<20 || now > 1<<20 {
		t.Errorf("the file had %d bytes and has %d", full, now)
	}
	if got := string(content(t, s, kept)); got != "kept" {
		t.Errorf("content = %q", got)
	}
}

// checkpointed returns when what was written is in the database file. It ends the
// indexer, since a reader keeps the WAL.
func checkpointed(t testing.TB, s *Store) {
	t.Helper()
	s.x.close()
	for size, running := checkpointBytes, true; running; size = 0 { // a checkpoint begins after the first one
		if err := s.update(t.Context(), "test", size, func(b *batch) error {
			running = size > 0 || b.w.copier.running
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
