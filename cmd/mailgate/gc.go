package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What lives is a few megabytes. Collected at twice that, as Go does by itself, a
// busy gateway would collect every few dozen messages; so garbage may grow to four
// times what lives, within a limit that many large messages don't get past.
const (
	gcPercent = 400
	gcLimit   = 64 << 20 // bytes of memory, all that Go manages
)

// paceCollector sets the garbage collector's pace until ctx ends. The limit
// follows what lives, since near it the collector would do nothing but collect.
// Whoever sets GOGC or GOMEMLIMIT decides for himself.
func paceCollector(ctx context.Context) error {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for limit := int64(0); ; {
		if next := limitFor(living()); next != limit {
			debug.SetMemoryLimit(next)
			limit = next
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// limitFor is the limit of memory where so many bytes live.
func limitFor(live uint64) int64 { return max(gcLimit, 3*int64(live)) }

// living is how many bytes the last collection left, stacks included.
func living() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() + sample[1].Value.Uint64()
}
