package relay

import (
	"sync"
	"time"
)

// fault is a time in which the queue isn't looked at: it can't be written, as when the
// disk is full. The zero value is ready for use.
type fault struct {
	mu    sync.Mutex
	until time.Time
	now   func() time.Time // nil: time.Now; the machine's, which no clock that jumps prolongs
}

func (f *fault) clock() time.Time {
	if f.now != nil {
		return f.now()
	}
	return time.Now()
}

// begin begins it; false if it lasts already.
func (f *fault) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until.After(f.clock()) {
		return false
	}
	f.until = f.clock().Add(faultSleep)
	return true
}

// left is how long it lasts yet.
func (f *fault) left() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until.Sub(f.clock())
}
