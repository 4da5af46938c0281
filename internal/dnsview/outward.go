package dnsview

import (
	"log/slog"
	"sync"
	"time"
)

const (
	silentZones = 3           // in a row, until port 53 outward is taken to be shut
	shutFor     = time.Minute // before name servers are tried again
)

// outward remembers that no name server answers at all, as behind a firewall
// that shuts port 53, so that not every look-up waits for time-outs first.
type outward struct {
	now    func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	silent map[string]bool // zones none of whose servers answered, since one did
	until  time.Time
}

func (o *outward) shut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now().Before(o.until)
}

// heard notes whether any server of the zone replied, well or badly.
func (o *outward) heard(apex string, any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if any {
		o.silent, o.until = nil, time.Time{}
		return
	}
	if o.silent == nil {
		o.silent = map[string]bool{}
	}
	if len(o.silent) < silentZones {
		o.silent[apex] = true
	}
	if len(o.silent) == silentZones {
		o.until = o.now().Add(shutFor)
		o.logger.Warn("no name server answers: port 53 outward seems shut; using the recursive view", "domain", display(apex))
	}
}
