package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = time.Second
)

// Serve takes mail at l until ctx is done. Then it closes l and the connections
// without a message in hand, waits up to Limits.Drain for the rest, closes them
// too, and returns nil. It returns an error only when l is impossible or fails.
func (s *Server) Serve(ctx context.Context, l Listener) error {
	defer l.Close()
	if l.TLS != "" && l.TLS != TLSOff && l.Config == nil {
		return fmt.Errorf("serve SMTP on %s: TLS is %s, and there is no certificate", l.Addr(), l.TLS)
	}
	if l.Profile == Legacy {
		s.Log.Warn("smtpd: TLS 1.0 and RSA key exchange are accepted, for old clients only", "listen", l.Addr().String())
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()

	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g := &group{open: make(map[*conn]struct{})}
	err := s.accept(ctx, work, &l, g)

	g.drain()
	if !g.wait(s.Limits.Drain) {
		s.Log.Warn("smtpd: messages still in hand, closing", "timeout", s.Limits.Drain)
		cancel()
		g.kill()
	}
	g.sessions.Wait()
	return err
}

// accept starts a session for every connection.
func (s *Server) accept(ctx, work context.Context, l *Listener, g *group) error {
	for pause := firstBackoff; ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = firstBackoff
			s.start(work, nc, l, g)
		case ctx.Err() != nil:
			return nil
		case !isTemporary(err):
			return fmt.Errorf("accept SMTP connections on %s: %w", l.Addr(), err)
		default:
			s.Log.Warn("smtpd: accept failed, trying again", "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, maxBackoff)
		}
	}
}

// isTemporary reports whether an Accept error may pass: too many open files, a
// connection that was gone before it was accepted.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}

func (s *Server) start(work context.Context, nc net.Conn, l *Listener, g *group) {
	if !s.census.enter() {
		s.Metrics.failed("busy")
		s.turnAway(nc, "too many connections")
		return
	}
	c := newConn(nc, s, l)
	g.add(c)
	g.sessions.Go(func() {
		defer s.census.leave()
		defer g.remove(c)
		s.session(work, c)
	})
}

// turnAway never waits: what it says fits into the socket's buffer, or is lost.
func (s *Server) turnAway(nc net.Conn, why string) {
	s.Log.Warn("smtpd: connection turned away", "peer", nc.RemoteAddr().String(), "why", why)
	nc.SetWriteDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(nc, "421 4.3.2 %s %s, try again later\r\n", s.Name, why)
	nc.Close()
}

// group is the connections of a listener that are open.
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
