package relay

import (
	"context"
	"time"

	"mailgate/internal/mail"
)

const (
	firstPause = time.Minute
	lastPause  = time.Hour
)

// failed notes that connecting failed, and says until when it is put off: a minute,
// and twice as long after each further failure. One by hand puts off nothing: the
// pause it ended goes on.
func (l *lanes) failed(in *lane, why *trouble, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := in.lifted.Sub(now); left > 0 && left <= 2*lastPause {
		in.last, in.until, in.lifted = why, in.lifted, time.Time{}
		return in.until
	}
	wait := firstPause << min(in.fails, 10)
	in.fails++
	in.last = why
	in.until = now.Add(spread(min(wait, lastPause)))
	return in.until
}

// works notes that a server of the lane answers. A pause that another worker has begun
// goes on: over one more connection it doesn't.
func (l *lanes) works(in *lane, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.pausedAt(now) {
		return
	}
	in.fails, in.last, in.until, in.lifted = 0, nil, time.Time{}, time.Time{}
}

// paused returns what the last failure was, and until when no connection is made;
// nil when one may be. A clock that was put back doesn't make a pause longer.
func (l *lanes) paused(in *lane, now time.Time) (*trouble, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !in.pausedAt(now) {
		return nil, time.Time{}
	}
	return in.last, in.until
}

func (l *lane) pausedAt(now time.Time) bool {
	left := l.until.Sub(now)
	return left > 0 && left <= 2*lastPause
}

// Retry ends the pause of a destination (empty: of all), has what is queued for it
// tried at once, and says how many recipients that are.
func (e *Engine) Retry(ctx context.Context, d mail.Domain) (int, error) {
	e.resume(d)
	n, err := e.o.Queue.Defer(ctx, d, e.o.Now(), true)
	e.Kick()
	return n, err
}

// RetryMessage ends the pauses of the destinations one message is queued for, has it
// tried at once, and says for how many recipients.
func (e *Engine) RetryMessage(ctx context.Context, id string) (int, error) {
	n, err := e.o.Queue.Retry(ctx, id, e.o.Now())
	if err != nil {
		return n, err
	}
	m, err := e.o.Messages.Get(ctx, id)
	if err != nil {
		return n, err
	}
	for _, r := range m.Recipients {
		if isInQueue(r) {
			e.resume(r.Address.Domain)
		}
	}
	e.Kick()
	return n, nil
}

// resume lets connections be made to a destination again (empty: to all); whether a lane
// still fails is found out by one worker.
func (e *Engine) resume(d mail.Domain) {
	key := e.settings().routeFor(d).key(d)
	e.lanes.mu.Lock()
	defer e.lanes.mu.Unlock()
	for _, in := range e.lanes.lanes {
		if (key == "" || in.key == key) && !in.until.IsZero() {
			in.lifted, in.until = in.until, time.Time{}
		}
	}
}
