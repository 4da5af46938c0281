package door

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ErrDraining ends a session that waits for its client while the door closes.
var ErrDraining = errors.New("stopping")

// Conn is a connection that came in. A session that says by Await when it waits for
// its client ends at once when the door closes, unless it is Busy.
type Conn struct {
	net.Conn

	mu       sync.Mutex
	waiting  bool // for the client
	busy     bool // work is in hand
	draining bool
}

// Await says that the session now waits for its client, until a time, which becomes
// the deadline of reading. The error is ErrDraining if it must not wait any more.
func (c *Conn) Await(until time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && !c.busy {
		return ErrDraining
	}
	c.waiting = true
	return c.SetReadDeadline(until)
}

// Came says that waiting is over. It returns err, what reading ended in, or
// ErrDraining if it ended because the door closes.
func (c *Conn) Came(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	if err != nil && c.draining && !c.busy {
		return ErrDraining
	}
	return err
}

// Busy says whether work is in hand, for which a closing door waits.
func (c *Conn) Busy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

// Draining reports whether the door closes.
func (c *Conn) Draining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// drain makes the session end as soon as no work is in hand.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.waiting && !c.busy {
		c.SetReadDeadline(time.Unix(1, 0))
	}
}

// Peer names the other end in log lines: its address, or "unix".
func (c *Conn) Peer() string {
	if a := c.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return "unix"
}
