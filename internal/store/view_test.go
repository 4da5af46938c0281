package store

import (
	"context"
	"database/sql"
	"runtime"
	"testing"
)

// TestCancelledViewEnds: a read that is cancelled has given its connection back when it
// returns, so that a Close after it closes all.
func TestCancelledViewEnds(t *testing.T) {
	s := fresh(t, Options{})
	s.x.close()
	for range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		s.view(ctx, func(*sql.Tx) error {
			cancel()
			runtime.Gosched()
			return nil
		})
		if n := s.read.Stats().InUse; n != 0 {
			t.Fatalf("%d connections in use", n)
		}
	}
}
