package relay

import (
	"math/rand/v2"
	"time"

	"mailgate/internal/spool"
)

// next is when a recipient is tried again after a try at now: 5 minutes later, and
// twice as long after each further try, up to 4 hours, give or take a tenth, but not
// before a pause is over. A try by hand doesn't count: the next is when it would have
// been. A try falls on the moment the sender is to be told of the delay, and one on
// the end.
func (s Settings) next(m *spool.Message, r *spool.Recipient, now, pause time.Time) time.Time {
	wait := s.FirstRetry
	for range r.Delivery.Tries {
		if wait *= 2; wait >= s.LastRetry {
			break
		}
	}
	wait = min(wait, s.LastRetry, s.toNextStep(now.Sub(since(m, r))))
	at := now.Add(spread(wait))
	if at.Before(pause) {
		at = pause.Add(rand.N(time.Minute))
	}
	for _, mark := range []time.Time{s.delayAt(m, r), s.end(m, r)} {
		if mark.After(now) && mark.Before(at) {
			at = mark
		}
	}
	return at
}

// toNextStep is how long it takes from an age on to the next of the moments that tries
// fall on when none is made by hand: 5 minutes, 15, 35 and so on. One that is near, by a
// quarter of the time before it, is the one that was just made.
func (s Settings) toNextStep(age time.Duration) time.Duration {
	at, step := s.FirstRetry, s.FirstRetry
	for at-age < step/4 && step < s.LastRetry {
		step = min(2*step, s.LastRetry)
		at += step
	}
	if past := age + step/4 - at; past > 0 && step > 0 {
		at += (past/step + 1) * step
	}
	return at - age
}

// spread is d, give or take a tenth, so that what failed together doesn't come
// together again.
func spread(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*float64(d)/5)
}

// since is when the relay's time with a recipient began: one that was held has all
// of it from its release on.
func since(m *spool.Message, r *spool.Recipient) time.Time {
	if r.Reason != "" && r.Changed.After(m.Received) {
		return r.Changed
	}
	return m.Received
}

// end is when a recipient that can't be reached is given up.
func (s Settings) end(m *spool.Message, r *spool.Recipient) time.Time {
	return since(m, r).Add(s.MaxAge)
}

// delayAt is when the sender is told of a delay; zero: never.
func (s Settings) delayAt(m *spool.Message, r *spool.Recipient) time.Time {
	if s.DelayAfter <= 0 || s.DelayAfter >= s.MaxAge {
		return time.Time{}
	}
	return since(m, r).Add(s.DelayAfter)
}

// tellDelay reports whether a try at now is the one after which the sender is told:
// the first that was due at that moment or before. As the time a try was due is
// kept in the queue, this is true once, whatever happens to this process.
func (s Settings) tellDelay(m *spool.Message, r *spool.Recipient, now time.Time) bool {
	at := s.delayAt(m, r)
	return !at.IsZero() && !now.Before(at) && !r.Delivery.Next.After(at)
}

// deadlines are when senders are told.
func (s Settings) deadlines() spool.Deadlines {
	d := spool.Deadlines{End: s.MaxAge}
	if s.DelayAfter > 0 && s.DelayAfter < s.MaxAge {
		d.Delay = s.DelayAfter
	}
	return d
}
