// Package door is what all doors do alike with those who come in: it accepts
// connections, counts and limits them, and when the door closes it lets those with
// work in hand finish. What is spoken on a connection is the door's own.
package door

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"
)

// Options say how a door behaves. Name and Drain are required; the zero value of
// everything else is the default named beside it.
type Options struct {
	Name  string        // begins log lines: "smtpd"
	Drain time.Duration // how long sessions with work in hand are waited for when stopping

	Limit     int // connections at once, of all listeners; 0: any number
	PerClient int // of those, how many Enter lets in from one address; 0: any number

	// TurnAway says a last word to a connection over Limit, which is closed then. It
	// has ten seconds. nil: connections over Limit wait until another ends.
	TurnAway func(net.Conn)

	Panicked func()       // is told of a session that panicked; nil: nobody
	Log      *slog.Logger // nil: slog.Default()
}

// Door lets connections in, at any number of listeners.
type Door struct {
	o     Options
	slots chan struct{} // one for each connection; nil: no limit
	quiet quiet

	mu      sync.Mutex
	clients map[netip.Prefix]int
}

// New returns a door, to be opened by Serve.
func New(o Options) *Door {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &Door{o: o, clients: make(map[netip.Prefix]int)}
	if o.Limit > 0 {
		d.slots = make(chan struct{}, o.Limit)
	}
	return d
}

// Serve accepts connections until ctx is done, and holds a session with each. A
// connection is closed when its session returns. When ctx is done, Serve closes ln
// and the connections without work in hand, waits up to Drain for the rest, cancels
// their context and closes them too, and returns nil when all sessions have ended.
// It returns an error only when ln fails for good.
func (d *Door) Serve(ctx context.Context, ln net.Listener, session func(context.Context, *Conn)) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	in := &inside{open: make(map[*Conn]struct{})}
	err := d.accept(ctx, ln, func(c *Conn) {
		in.add(c)
		in.sessions.Go(func() {
			defer d.leave()
			defer in.remove(c)
			d.hold(work, c, session)
		})
	})

	ln.Close()
	in.drain()
	if !in.wait(d.o.Drain) {
		d.o.Log.Warn(d.o.Name+": work still in hand, closing", "timeout", d.o.Drain)
		cancel()
		in.kill()
	}
	in.sessions.Wait()
	if err != nil {
		return fmt.Errorf("accept connections for %s on %s: %w", d.o.Name, ln.Addr(), err)
	}
	return nil
}

// hold has one session. A panic costs no other.
func (d *Door) hold(ctx context.Context, c *Conn, session func(context.Context, *Conn)) {
	defer c.Close()
	defer func() {
		if v := recover(); v != nil {
			if d.o.Panicked != nil {
				d.o.Panicked()
			}
			d.o.Log.Error(d.o.Name+": panic", "peer", c.Peer(), "panic", v, "stack", string(debug.Stack()))
		}
	}()
	session(ctx, c)
}

// inside is the connections of a listener that are open.
type inside struct {
	sessions sync.WaitGroup

	mu   sync.Mutex
	open map[*Conn]struct{}
}

func (in *inside) add(c *Conn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.open[c] = struct{}{}
}

func (in *inside) remove(c *Conn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.open, c)
}

// drain ends every session as soon as it has no work in hand.
func (in *inside) drain() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for c := range in.open {
		c.drain()
	}
}

// kill closes all connections.
func (in *inside) kill() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for c := range in.open {
		c.Close()
	}
}

// wait reports whether all sessions ended within a time.
func (in *inside) wait(d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		in.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
