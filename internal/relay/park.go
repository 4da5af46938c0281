package relay

import (
	"cmp"
	"sync"
	"time"
)

// lingers is how long a connection without work is kept for the next message.
const lingers = 2 * time.Second

// maxParked bounds to how many places connections are kept.
const maxParked = 50

// parked are connections between two workers. The zero value is ready for use.
type parked struct {
	linger time.Duration // how long each is kept; 0: lingers

	mu       sync.Mutex
	sessions map[string][]*session
	closed   bool
}

func (p *parked) park(key string, s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.sessions) >= maxParked {
		go s.quit()
		return
	}
	if p.sessions == nil {
		p.sessions = map[string][]*session{}
	}
	p.sessions[key] = append(p.sessions[key], s)
	time.AfterFunc(cmp.Or(p.linger, lingers), func() {
		if p.remove(key, s) {
			s.quit()
		}
	})
}

// take returns the connection parked last, or nil.
func (p *parked) take(key string) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.sessions[key]
	if len(list) == 0 {
		return nil
	}
	s := list[len(list)-1]
	p.set(key, list[:len(list)-1])
	return s
}

// remove reports whether s was still there.
func (p *parked) remove(key string, s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, there := range p.sessions[key] {
		if there == s {
			list := p.sessions[key]
			p.set(key, append(list[:i:i], list[i+1:]...))
			return true
		}
	}
	return false
}

func (p *parked) set(key string, list []*session) {
	if p.sessions[key] = list; len(list) == 0 {
		delete(p.sessions, key)
	}
}

// closeAll ends what is parked, and what is parked from now on.
func (p *parked) closeAll() {
	p.mu.Lock()
	var all []*session
	for _, list := range p.sessions {
		all = append(all, list...)
	}
	p.sessions, p.closed = nil, true
	p.mu.Unlock()
	var wait sync.WaitGroup
	for _, s := range all {
		wait.Go(s.quit)
	}
	wait.Wait()
}
