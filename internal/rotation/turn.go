package rotation

import (
	"context"
	"time"
)

const (
	soonest = 15 * time.Second // between two looks at what may change any moment
	idle    = 10 * time.Minute // between two turns without anything to do
)

// Run drives the rotations until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(e.Turn(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-e.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Turn does what is due, and returns how long nothing is.
func (e *Engine) Turn(ctx context.Context) time.Duration {
	e.working.Lock()
	e.forget(ctx)
	e.working.Unlock()
	if e.isBehind() {
		e.apply(ctx)
	}
	wait := idle
	for _, r := range e.Book().All() {
		if !r.State.Open() || ctx.Err() != nil {
			continue
		}
		e.working.Lock()
		if e.due(r.OldName()) <= 0 {
			if now, ok := e.current(r.OldName()); ok && now.State.Open() {
				e.advance(ctx, now)
			}
		}
		e.working.Unlock()
		if now, _ := e.current(r.OldName()); now.State.Open() {
			wait = min(wait, max(0, e.due(r.OldName())))
		}
	}
	e.beginDue(ctx)
	return wait
}

// due is how long until a rotation is looked at.
func (e *Engine) due(name string) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, set := e.next[name]
	if !set {
		return 0
	}
	wait := at.Sub(e.o.Now())
	if wait > idle*3 { // the clock was set back
		return 0
	}
	return wait
}

// advance makes a step, and says when the next is due.
func (e *Engine) advance(ctx context.Context, r Rotation) {
	name := r.OldName()
	err := e.step(ctx, r)
	if err != nil && ctx.Err() == nil {
		e.o.Log.ErrorContext(ctx, "rotation: a step failed; it is tried again", append(e.attrs(r), "error", err)...)
	}
	now, _ := e.current(name)
	wait := e.waitFor(now)
	switch {
	case err != nil:
		wait = time.Minute
	case now.State == Revoking && r.State == Signing:
		wait = 0
	}
	e.mu.Lock()
	e.next[name] = e.o.Now().Add(wait)
	e.mu.Unlock()
}

// waitFor is how long to wait until the next look.
func (e *Engine) waitFor(r Rotation) time.Duration {
	now := e.o.Now()
	switch {
	case r.State == Publishing:
		return eager(now.Sub(r.Begun))
	case r.State == Revoking:
		return eager(now.Sub(r.Revoke))
	case r.State == Signing && (r.Problem != "" || e.isBehind()):
		return time.Minute
	case r.Problem != "":
		return soonest
	case r.State == Holding:
		return between(time.Second, r.Hold-r.Waited+time.Second, longestWait(r.State))
	}
	return between(time.Second, r.Grace-r.Waited, longestWait(r.State))
}

// eager looks often at first, then less.
func eager(since time.Duration) time.Duration { return between(soonest, since/20, idle) }

func longestWait(s State) time.Duration {
	if s == Signing {
		return 30 * time.Minute
	}
	return time.Minute // what comes and goes between two looks isn't seen
}

func between(low, d, high time.Duration) time.Duration { return max(low, min(d, high)) }
