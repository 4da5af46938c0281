package tlspolicy

import (
	"context"
	"errors"
	"time"
)

// endGrace is how long a run-time override must have been seen to have ended before it
// is forgotten: a clock that was wrong for a while must not end it for good.
const endGrace = 24 * time.Hour

// forgetEnded tells of run-time overrides that have ended, and after a while removes
// them from the table and from memory, and writes the review log. It is for one
// goroutine.
func (p *Policies) forgetEnded(ctx context.Context, now time.Time) {
	seen := map[string]time.Time{}
	for t, o := range p.runtime.Load().byTarget {
		if !o.Expired(now) {
			continue
		}
		key := "ended " + o.Destination + " " + o.Expires.String()
		if _, told := p.told.LoadOrStore(key, true); !told {
			p.log.InfoContext(ctx, "a TLS override has ended", "destination", o.Destination, "level", o.Level.String(), "reason", o.Reason)
		}
		since, ok := p.ended[key]
		if !ok {
			since = now
		}
		if seen[key] = since; now.Sub(since) >= endGrace {
			p.forget(ctx, t, *o, now)
		}
	}
	p.ended = seen
}

func (p *Policies) forget(ctx context.Context, t target, o Override, now time.Time) {
	by := Act{Actor: "mailgate", Reason: "it ended at " + o.Expires.UTC().Format(time.RFC3339)}
	err := p.remove(ctx, t, by, func(o Override) bool { return o.Expired(now) })
	if err != nil && !errors.Is(err, ErrNoOverride) {
		p.log.ErrorContext(ctx, "a TLS override that has ended can't be forgotten", "destination", o.Destination, "error", err)
	}
}
