package rotation

import (
	"context"
	"hash/fnv"
	"time"

	"mailgate/internal/mail"
)

const (
	autoEvery  = 5 * time.Minute // between two rotations that begin by themselves
	autoAtOnce = 4               // of those with a publisher that wait for their record
)

// beginDue begins the rotation of the key that is due for longest: one at a time, and
// few at once, so that many domains don't all change at the same moment.
func (e *Engine) beginDue(ctx context.Context) {
	now := e.o.Now()
	e.mu.Lock()
	rested := e.autoRun.IsZero() || now.Sub(e.autoRun) >= autoEvery || now.Before(e.autoRun)
	e.mu.Unlock()
	if !rested || ctx.Err() != nil {
		return
	}
	d, k, ok := e.mostDue(now)
	if !ok {
		return
	}
	e.mu.Lock()
	e.autoRun = now
	e.mu.Unlock()
	if _, err := e.Rotate(ctx, Order{Domain: d, Selector: k.Selector, By: "rotate_every"}); err != nil && ctx.Err() == nil {
		e.mu.Lock()
		e.tried[recordName(d, k.Selector)] = now
		e.mu.Unlock()
		e.o.Log.WarnContext(ctx, "rotation: a key is older than rotate_every, and can't be replaced now", "domain", d, "selector", k.Selector, "error", err)
	}
}

// mostDue finds the key whose time has been over for longest. What waits for people
// keeps nothing else from its turn.
func (e *Engine) mostDue(now time.Time) (domain mail.Domain, key Use, ok bool) {
	var most time.Duration = -1
	full := e.waiting() >= autoAtOnce
	asked := map[string]bool{}
	for _, c := range e.o.Site().Keys {
		if c.Every <= 0 || full && e.o.Publisher(c.Domain) != nil {
			continue
		}
		active, _ := e.Book().follow(c.Domain, c.Use)
		name := recordName(c.Domain, active.Selector)
		if _, busy := e.underWay(c.Domain, active, false); busy || asked[name] || e.failedLately(name, now) {
			continue
		}
		asked[name] = true
		if over := now.Sub(e.born(c.Domain, active)) - c.Every - jitter(name, c.Every); over > most {
			most, domain, key, ok = over, c.Domain, active, true
		}
	}
	return domain, key, ok
}

// failedLately: what can't be done now lets others have their turn.
func (e *Engine) failedLately(name string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, tried := e.tried[name]
	since := now.Sub(last)
	return tried && since >= 0 && since < 6*time.Hour
}

// waiting is how many rotations with a publisher have not switched yet.
func (e *Engine) waiting() (n int) {
	for _, r := range e.Book().All() {
		if r.State.Open() && !r.State.Switched() && e.o.Publisher(r.Domain) != nil {
			n++
		}
	}
	return n
}

// born is since when a key signs: its switch, or else what its file says. A rotation of
// it that was cancelled begins no other for as long again.
func (e *Engine) born(d mail.Domain, k Use) time.Time {
	at := e.o.Now() // unknown: not due
	if r := e.Book().into(d, k.Selector); r != nil && r.State.Switched() {
		at = r.Switched
	} else if made, err := e.o.Made(k.File); err == nil {
		at = made
	}
	if r := e.Book().of(d, k.Selector); r != nil && r.State == Cancelled && r.Ended.After(at) {
		at = r.Ended
	}
	return at
}

// jitter spreads keys made in the same minute over a twentieth of their time.
func jitter(name string, every time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return time.Duration(float64(every) / 20 * float64(h.Sum32()) / (1 << 32))
}
