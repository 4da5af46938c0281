package milter

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Serve answers connections of ln until ctx is done. Then it closes ln and the
// connections without a message in hand, waits up to DrainTimeout for the rest,
// closes them too, and returns nil. It returns an error only when ln fails.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	d := s.withDefaults()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()

	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g := &group{open: make(map[*conn]struct{})}
	err := d.accept(ctx, work, ln, g)

	g.drain()
	if !g.wait(d.DrainTimeout) {
		d.Log.Warn("milter: messages still in hand, closing", "timeout", d.DrainTimeout)
		cancel()
		g.kill()
	}
	g.sessions.Wait()
	return err
}

// accept starts a session for every connection, at most MaxConns at once.
func (s *Server) accept(ctx, work context.Context, ln net.Listener, g *group) error {
	slots := make(chan struct{}, s.MaxConns)
	for {
		if !s.takeSlot(ctx, slots) {
			return nil
		}
		nc, err := acceptRetry(ctx, ln, s.Log)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept milter connections on %s: %w", ln.Addr(), err)
		}
		c := newConn(nc, s)
		g.add(c)
		g.sessions.Go(func() {
			defer func() { <-slots }()
			defer g.remove(c)
			s.serve(work, c)
		})
	}
}

// takeSlot waits for a free place; false when ctx ended first.
func (s *Server) takeSlot(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		s.Log.Warn("milter: connection limit reached, new connections wait", "limit", cap(slots))
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// group is the connections that are open.
type group struct {
	sessions sync.WaitGroup

	mu       sync.Mutex
	open     map[*conn]struct{}
	draining bool
}

func (g *group) add(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[c] = struct{}{}
	if g.draining {
		c.drain()
	}
}

func (g *group) remove(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}

// drain ends every connection as soon as it has no message in hand.
func (g *group) drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = true
	for c := range g.open {
		c.drain()
	}
}

// kill closes the sockets of all connections.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.Conn.Close()
	}
}

// wait reports whether all sessions ended within d.
func (g *group) wait(d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		g.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
