package relay

import (
	"strings"
	"sync"
	"time"

	"mailgate/internal/mail"
)

// lane is what connections to one place have in common: a recipient domain's MX
// hosts, or a next hop.
type lane struct {
	key     string
	workers int
	fails   int       // connections failed in a row
	until   time.Time // no connection is made before
	lifted  time.Time // what until was when somebody had it tried at once
	last    *trouble  // the last failure
}

// place names where a lane leads to: a domain, or the host and port of a next hop.
func (l *lane) place() string {
	place, _, _ := strings.Cut(l.key, " ")
	return place
}

// lanes are those in use or in trouble. The zero value is ready for use.
type lanes struct {
	mu       sync.Mutex
	lanes    map[string]*lane
	starting map[mail.Domain]bool  // with a worker that has not claimed yet
	serving  map[mail.Domain]*lane // with a worker
	workers  map[mail.Domain]int
	total    int
	most     int // total was at most
}

// maxIdleLanes bounds how many lanes without a worker are remembered.
const maxIdleLanes = 10_000

// enter lets a worker in; false when the lane is full. Where connecting failed, one
// worker at a time finds out whether it works again.
func (l *lanes) enter(d mail.Domain, key string, s Settings) (*lane, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lanes == nil {
		l.lanes, l.starting = map[string]*lane{}, map[mail.Domain]bool{}
		l.serving, l.workers = map[mail.Domain]*lane{}, map[mail.Domain]int{}
	}
	in, known := l.lanes[key]
	if !known {
		in = &lane{key: key}
	}
	if in.full(s) || l.starting[d] || l.total >= s.Connections {
		return nil, false
	}
	l.lanes[key] = in
	l.starting[d] = true
	l.serving[d] = in
	l.workers[d]++
	in.workers++
	l.total++
	l.most = max(l.most, l.total)
	return in, true
}

func (l *lane) full(s Settings) bool {
	limit := s.PerDestination
	if l.fails > 0 {
		limit = 1
	}
	return l.workers >= limit
}

// claimed notes that a worker has claimed: what is still due may get another one.
func (l *lanes) claimed(d mail.Domain) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.starting, d)
}

func (l *lanes) leave(d mail.Domain, in *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.starting, d)
	if l.workers[d]--; l.workers[d] == 0 {
		delete(l.workers, d)
		delete(l.serving, d)
	}
	in.workers--
	l.total--
	if in.workers == 0 && (in.fails == 0 || len(l.lanes) > maxIdleLanes) {
		delete(l.lanes, in.key)
	}
}

// busy returns the destinations that get no further worker now.
func (l *lanes) busy(s Settings) []mail.Domain {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []mail.Domain
	for d, in := range l.serving {
		if l.starting[d] || in.full(s) {
			list = append(list, d)
		}
	}
	return list
}

// full reports whether d is served by as many workers as its lane lets in.
func (l *lanes) full(d mail.Domain, s Settings) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.serving[d]
	return in != nil && in.full(s)
}

func (l *lanes) running() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// alone reports whether a lane has one worker.
func (l *lanes) alone(in *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return in.workers == 1
}

// peak is how many workers there were at most at once.
func (l *lanes) peak() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}
