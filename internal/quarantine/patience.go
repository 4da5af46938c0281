package quarantine

import (
	"sync"
	"time"
)

const (
	firstWait = time.Minute
	maxWait   = 15 * time.Minute
)

// patience spaces out the tries to release a message that the next server doesn't
// take. What it knows is lost at a stop, which costs no more than a try.
type patience struct {
	mu    sync.Mutex
	waits map[string]wait
}

type wait struct {
	until time.Time
	long  time.Duration
}

// failed notes a try in vain and returns how long to wait: twice as long each time.
func (p *patience) failed(id string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	long := min(max(2*p.waits[id].long, firstWait), maxWait)
	if p.waits == nil {
		p.waits = map[string]wait{}
	}
	p.waits[id] = wait{now.Add(long), long}
	return long
}

// tooEarly reports whether it is too early for another try.
func (p *patience) tooEarly(id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.waits[id].until)
}

func (p *patience) done(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waits, id)
}

func (p *patience) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = nil
}
