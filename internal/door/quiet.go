package door

import (
	"sync"
	"time"
)

// quiet keeps a flood of connections from becoming a flood of log lines.
type quiet struct {
	mu       sync.Mutex
	resting  bool // a line was written within the last second
	unlogged int  // lines since
}

const rest = time.Second

// warn logs that there are too many connections, at most once a second; what isn't
// logged is counted, and told a second later.
func (d *Door) warn(what string, args ...any) {
	d.quiet.mu.Lock()
	defer d.quiet.mu.Unlock()
	if d.quiet.resting {
		d.quiet.unlogged++
		return
	}
	d.o.Log.Warn(d.o.Name+": "+what, args...)
	d.quiet.resting = true
	time.AfterFunc(rest, d.tellUnlogged)
}

func (d *Door) tellUnlogged() {
	d.quiet.mu.Lock()
	defer d.quiet.mu.Unlock()
	if d.quiet.unlogged == 0 {
		d.quiet.resting = false
		return
	}
	d.o.Log.Warn(d.o.Name+": more of too many connections, not logged one by one", "count", d.quiet.unlogged)
	d.quiet.unlogged = 0
	time.AfterFunc(rest, d.tellUnlogged)
}
