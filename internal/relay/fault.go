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
}

// begin begins it; false if it lasts already.
func (f *fault) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Until(f.until) > 0 {
		return false
	}
	f.until = time.Now().Add(faultSleep)
	return true
}

// left is how long it lasts yet.
func (f *fault) left() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Until(f.until)
}
