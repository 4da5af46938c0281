package quarantine

import (
	"errors"
	"sync"
	"time"
)

// ErrStopping: mailgate is about to stop and begins no release any more.
var ErrStopping = errors.New("mailgate is stopping")

// drain counts releases under way, so that a stop can wait for them: the way out
// leads back through our own milter, which must stay open until then.
type drain struct {
	mu       sync.Mutex
	underway sync.WaitGroup
	stopping bool
}

// begin reports whether a release may begin; it then ends with done.
func (d *drain) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return false
	}
	d.underway.Add(1)
	return true
}

func (d *drain) done() { d.underway.Done() }

// Drain lets no further release begin and waits for those under way, but no longer
// than the given time.
func (q *Quarantine) Drain(patience time.Duration) {
	q.releases.mu.Lock()
	q.releases.stopping = true
	q.releases.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		q.releases.underway.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		q.o.Logger.Warn("releases still under way at the stop; they are held again at the next start")
	}
}
