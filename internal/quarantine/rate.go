package quarantine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// ErrPaced: a Paced release has to wait, since as many messages as
// Policy.ReleaseRate allows went to a destination of this one. Nothing was done.
var ErrPaced = errors.New("as many were released as may go to one destination in a minute")

// PaceError is an ErrPaced that says after how long to try again.
type PaceError struct{ Wait time.Duration }

func (e *PaceError) Error() string {
	return fmt.Sprintf("%v; there is room in %v", ErrPaced, e.Wait.Round(time.Second))
}

func (e *PaceError) Unwrap() error { return ErrPaced }

// destination is whom the rate of releases protects: a provider, or else the
// recipient's domain.
func destination(r spool.Recipient) string {
	if isKnown(r.Provider) {
		return r.Provider
	}
	return "@" + string(r.Address.Domain)
}

func isKnown(provider string) bool {
	return slices.Contains(preflight.KnownProviders(), preflight.Provider(provider))
}

func destinations(recipients []spool.Recipient) []string {
	list := make([]string, len(recipients))
	for i, r := range recipients {
		list[i] = destination(r)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// pace counts what is released to each destination. A destination that nothing
// went to for a while is forgotten.
type pace struct {
	mu      sync.Mutex
	of      map[string]*rate.Limiter
	sweepAt int // destinations
}

// minSweep is how many destinations are kept before idle ones are looked for.
const minSweep = 1000

// burstOf is how many messages may go at once: a tenth of a minute's worth.
func burstOf(perMinute int) int { return max(1, perMinute/10) }

// pause is after how long a full burst may go again.
func pause(perMinute int) time.Duration {
	const slack = 10 * time.Millisecond // for what is lost in fractions
	return time.Duration(burstOf(perMinute))*time.Minute/time.Duration(max(1, perMinute)) + slack
}

// wait is how long it takes until each destination has room for a message; 0: each
// has.
func (p *pace) wait(perMinute int, to []string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.longest(perMinute, to, now)
}

// take counts a message to each destination if all have room; otherwise it
// returns how long it takes until they have.
func (p *pace) take(perMinute int, to []string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.longest(perMinute, to, now); wait > 0 {
		return wait
	}
	p.add(perMinute, to, now)
	return 0
}

// count counts a message to each destination, room or not.
func (p *pace) count(perMinute int, to []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(perMinute, to, now)
}

func (p *pace) longest(perMinute int, to []string, now time.Time) (wait time.Duration) {
	if perMinute <= 0 {
		return 0
	}
	for _, d := range to {
		l, found := p.of[d]
		if !found {
			continue
		}
		set(l, perMinute, now)
		if lack := 1 - l.TokensAt(now); lack > 0 {
			wait = max(wait, time.Duration(lack*float64(time.Minute)/float64(perMinute))+time.Millisecond)
		}
	}
	return wait
}

func (p *pace) add(perMinute int, to []string, now time.Time) {
	if perMinute <= 0 {
		return
	}
	for _, d := range to {
		l := p.of[d]
		if l == nil {
			l = p.begin(d, perMinute, now)
		}
		set(l, perMinute, now)
		l.ReserveN(now, 1)
	}
}

// begin makes room for a destination's limiter. One that is full again is as good
// as a new one.
func (p *pace) begin(d string, perMinute int, now time.Time) *rate.Limiter {
	if p.of == nil {
		p.of, p.sweepAt = map[string]*rate.Limiter{}, minSweep
	}
	if len(p.of) >= p.sweepAt {
		maps.DeleteFunc(p.of, func(_ string, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(l.Burst()) })
		p.sweepAt = max(minSweep, 2*len(p.of))
	}
	p.of[d] = rate.NewLimiter(limit(perMinute), burstOf(perMinute))
	return p.of[d]
}

// set makes a limiter follow the rate in force.
func set(l *rate.Limiter, perMinute int, now time.Time) {
	if l.Limit() != limit(perMinute) {
		l.SetLimitAt(now, limit(perMinute))
		l.SetBurstAt(now, burstOf(perMinute))
	}
}

func limit(perMinute int) rate.Limit { return rate.Limit(perMinute) / 60 }

// hasRoom says whether the destinations of a paced release have room.
func (q *Quarantine) hasRoom(m *spool.Message, to []mail.Address) error {
	if wait := q.pace.wait(q.o.Policy().ReleaseRate, destinations(recipientsOf(m, to)), q.o.Now()); wait > 0 {
		return &PaceError{wait}
	}
	return nil
}

// takeRoom counts a release. Only a paced one waits for room.
func (q *Quarantine) takeRoom(m *spool.Message, to []mail.Address, paced bool) error {
	perMinute, list, now := q.o.Policy().ReleaseRate, destinations(recipientsOf(m, to)), q.o.Now()
	if !paced {
		q.pace.count(perMinute, list, now)
		return nil
	}
	if wait := q.pace.take(perMinute, list, now); wait > 0 {
		return &PaceError{wait}
	}
	return nil
}

func recipientsOf(m *spool.Message, to []mail.Address) []spool.Recipient {
	return slices.DeleteFunc(slices.Clone(m.Recipients), func(r spool.Recipient) bool { return !slices.Contains(to, r.Address) })
}
