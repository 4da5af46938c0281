package store

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/spool"
)

// TestLogBeginsAnew: the WAL does not grow without end while there is always
// something to write.
func TestLogBeginsAnew(t *testing.T) {
	const every = 1 << 20
	s := fresh(t, Options{CheckpointBytes: every})
	s.x.close() // a reader keeps the WAL
	body := string(bytesOf(10 << 10))
	var takers errgroup.Group
	for range 4 {
		takers.Go(func() error {
			for range 150 {
				if err := s.Take(t.Context(), message(t, "x@gmail.com"), strings.NewReader(body)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := takers.Wait(); err != nil {
		t.Fatal(err)
	}
	// At most twice as much as is written between checkpoints. By the writer's count, that
	// is: messages that are written one by one take three times it. All are 24 MiB or more.
	if info, err := os.Stat(s.path + "-wal"); err != nil || info.Size() > 8*every {
		t.Errorf("the WAL: %v, %v", info.Size(), err)
	}
	verify(t, s, 600)
}

// TestCloseWhileCopying: a store that is closed while its log is copied ends in
// order, with nothing left in the log.
func TestCloseWhileCopying(t *testing.T) {
	s := fresh(t, Options{CheckpointBytes: 1 << 20})
	m := take(t, s, message(t, "x@gmail.com"), "kept")
	if err := s.update(t.Context(), "test", 1<<20, func(*batch) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the WAL: %v", err)
	}
	s = open(t, s.path, Options{})
	if got, err := s.Get(t.Context(), m); err != nil || got.Recipients[0].State != spool.Held {
		t.Errorf("Get = %+v, %v", got, err)
	}
}
