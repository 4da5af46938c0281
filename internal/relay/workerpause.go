package relay

import (
	"context"
	"time"

	"mailgate/internal/spool"
)

// barred says why no connection is made now; nil when one may be.
func (w *worker) barred() *trouble {
	if w.blocked != nil || w.session != nil {
		return w.blocked
	}
	if why, until := w.e.lanes.paused(w.lane, w.e.o.Now()); why != nil {
		w.blocked, w.until = why, until
	}
	return w.blocked
}

// fail notes a failure that is the destination's as a whole.
func (w *worker) fail(ctx context.Context, why *trouble) {
	w.blocked, w.until = why, w.e.lanes.failed(w.lane, why, w.e.o.Now())
	w.e.o.Metrics.Pause(w.lane.place())
	w.e.log.InfoContext(ctx, "connections are put off", "domain", w.domain, "next", w.lane.place(), "until", w.until.UTC().Format(time.RFC3339), "reply", why.words)
}

// paused reports whether this worker makes no connection until some time. What it bounces
// for good isn't paused.
func (w *worker) paused() bool { return w.blocked != nil && !w.blocked.permanent }

// pause leaves the destination in peace and gives back what was claimed. One message has
// met the trouble, and says so in the queue; of the others only those are claimed again
// whose senders are to be told. Where workers with a connection go on, they may: a server
// that takes so many connections and no more isn't down.
func (w *worker) pause(ctx context.Context, rest []*spool.Claim) error {
	if !w.e.lanes.alone(w.lane) {
		return w.giveBack(ctx, rest)
	}
	if _, err := w.e.o.Queue.Defer(ctx, w.domain, w.until, false); err != nil {
		return err
	}
	if err := w.giveBack(ctx, rest); err != nil {
		return err
	}
	for ctx.Err() == nil {
		now, s := w.e.o.Now(), w.e.settings()
		late, err := w.e.o.Queue.ClaimLate(ctx, w.domain, now, now.Add(lease), claimSize, s.deadlines())
		if err != nil || len(late) == 0 {
			return err
		}
		for _, c := range late {
			w.deliver(ctx, c)
		}
		w.settling.Wait()
	}
	return nil
}
