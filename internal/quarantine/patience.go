package quarantine

import (
	"maps"
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
	mu      sync.Mutex
	waits   map[string]wait
	sweepAt int // waits
}

type wait struct {
	whose identity
	until time.Time
	long  time.Duration
}

// failed notes a try in vain and returns how long to wait: twice as long each time.
func (p *patience) failed(id string, whose identity, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	long := min(max(2*p.waits[id].long, firstWait), maxWait)
	if p.waits == nil {
		p.waits = map[string]wait{}
	}
	p.sweep(now)
	p.waits[id] = wait{whose, now.Add(long), long}
	return long
}

// sweep forgets messages that weren't tried again: they left some other way.
func (p *patience) sweep(now time.Time) {
	if len(p.waits) < max(p.sweepAt, 1000) {
		return
	}
	maps.DeleteFunc(p.waits, func(_ string, w wait) bool { return now.Sub(w.until) > 2*maxWait })
	p.sweepAt = 2 * len(p.waits)
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

// forget lets messages be tried at once: those of one identity.
func (p *patience) forget(whose identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.waits, func(_ string, w wait) bool { return w.whose == whose })
}

func (p *patience) forgetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = nil
}
