package dnsview

import (
	"context"
	"time"
)

// freshness is how old an answer may be for a caller.
type freshness struct {
	limited bool
	maxAge  time.Duration
	since   time.Time // zero: not set
}

type freshKey struct{}

// Fresh returns a context whose look-ups don't use answers older than maxAge;
// with 0, none asked for before the look-up began. Which servers a zone has may
// still be remembered for 30 seconds.
func Fresh(ctx context.Context, maxAge time.Duration) context.Context {
	f := wish(ctx)
	f.limited, f.maxAge = true, max(0, maxAge)
	return context.WithValue(ctx, freshKey{}, f)
}

// Since returns a context whose Fresh look-ups also take answers that were asked
// for after t, however old, as long as they hold: a round of checks asks once for
// what they share.
func Since(ctx context.Context, t time.Time) context.Context {
	f := wish(ctx)
	f.since = t
	return context.WithValue(ctx, freshKey{}, f)
}

func wish(ctx context.Context) freshness {
	f, _ := ctx.Value(freshKey{}).(freshness)
	return f
}

// carry gives ctx the freshness that from asks for.
func carry(ctx, from context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, wish(from))
}

// relax lets a look-up use the zone's servers as remembered for a moment, so
// that checking five names afresh doesn't find the zone five times.
func relax(ctx context.Context) context.Context {
	f := wish(ctx)
	if !f.limited || f.maxAge >= zoneAge {
		return ctx
	}
	return Fresh(ctx, zoneAge)
}

// accepts reports whether a look-up begun as number seq, at asked, is fresh
// enough for a caller who came as number caller. Numbers decide where a maxAge
// of 0 leaves no room for clocks.
func (f freshness) accepts(seq uint64, asked time.Time, caller uint64, now time.Time) bool {
	return !f.limited || seq > caller || f.maxAge > 0 && now.Sub(asked) <= f.maxAge ||
		!f.since.IsZero() && asked.After(f.since)
}
