package relay

import (
	"time"

	"mailgate/internal/spool"
)

// again is what the time of a recipient's next try hangs on, but for chance.
type again struct {
	tries      int
	until, end time.Time
}

// together has the recipients of a message that are tried again tried at the same
// time: what becomes due together goes in one transaction.
func together(s Settings, m *spool.Message, fates []*fate, results []spool.Result) {
	first := map[again]time.Time{}
	for i, f := range fates {
		if results[i].Into != spool.Queued {
			continue
		}
		like := again{f.to.Delivery.Tries, f.until, s.end(m, &f.to)}
		if at, known := first[like]; known {
			results[i].Next = at
		} else {
			first[like] = results[i].Next
		}
	}
}
