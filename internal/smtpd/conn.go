package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	readBuffer  = 16 << 10 // also the longest command line; AUTH may need 12,288 (RFC 4954 section 4)
	writeBuffer = 4 << 10
)

var (
	errDraining = errors.New("stopping")
	errLong     = errors.New("command line too long")
	errOver     = errors.New("session over") // everything is said
)

// conn is the connection as the library sees it. It reads single command lines,
// and at the end of a conversation io.EOF, whatever happened; the cause is kept in
// err. Replies go out when there is nothing to do but to wait for the client.
type conn struct {
	net.Conn // the socket, which never changes: what drain and kill act on
	server   *Server
	listener *Listener
	log      *slog.Logger

	ctx    context.Context
	client netip.Addr // invalid if a balancer doesn't tell
	expiry time.Time  // of the session

	stream net.Conn             // the socket or TLS over it
	tls    *tls.ConnectionState // nil without
	in     *bufio.Reader
	out    *bufio.Writer
	done   chan struct{} // closed when the library is through with a conversation

	line   string // the command under way, without its end
	verb   string
	helo   string // "HELO" or "EHLO"
	give   []byte // not yet read by the library
	pushed []byte // line to be read before those of the client

	reply  []byte // beginning of a line
	mute   bool   // the reply that comes is not for the client
	in334  bool   // the next line answers a challenge
	upward bool   // the conversation ends for STARTTLS
	over   bool   // no other command is read
	said   bool   // and no other reply sent
	err    error  // why the conversation ended; nil after QUIT and what we ended ourselves

	commands, errors int // since the last message taken

	content  *content // the message under way
	chunk    chunk    // BDAT
	deadline time.Time

	mu       sync.Mutex // what drain needs to know
	waiting  bool       // for the client
	busy     bool       // a message is in hand
	draining bool
}

func newConn(nc net.Conn, s *Server, l *Listener) *conn {
	c := &conn{server: s, listener: l, expiry: time.Now().Add(s.Limits.Session)}
	c.log = s.Log.With("peer", nc.RemoteAddr().String())
	c.client = addressOf(nc.RemoteAddr())
	if within(l.ProxyFrom, c.client) {
		nc = proxyproto.NewConn(nc, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(s.Limits.Proxy))
	}
	c.Conn, c.stream = nc, nc
	c.in = bufio.NewReaderSize(socket{c}, readBuffer)
	c.out = bufio.NewWriterSize(socket{c}, writeBuffer)
	return c
}

// Read implements net.Conn for the library.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.give) == 0 {
		if err := c.next(); err != nil {
			return 0, io.EOF
		}
	}
	n := copy(p, c.give)
	c.give = c.give[n:]
	return n, nil
}

// Close implements net.Conn for the library: it is through with the conversation.
func (c *conn) Close() error {
	c.over = true
	select {
	case <-c.done:
	default:
		close(c.done)
	}
	return nil
}

// shut sends what is to be sent and closes the connection.
func (c *conn) shut() {
	_ = c.out.Flush() // the client may be gone
	c.stream.Close()
	c.Conn.Close()
}

// secure makes the handshake. What the client sent before is forgotten.
func (c *conn) secure() error {
	if err := c.out.Flush(); err != nil {
		return fmt.Errorf("answer STARTTLS: %w", err)
	}
	t := tls.Server(c.Conn, c.listener.Config)
	c.SetDeadline(time.Now().Add(c.server.Limits.Read))
	if err := t.HandshakeContext(c.ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.SetDeadline(time.Time{})
	state := t.ConnectionState()
	c.stream, c.tls = t, &state
	c.upward, c.over, c.helo = false, false, ""
	c.in.Reset(socket{c})
	return nil
}

// fail notes why the connection is no longer of use; the first cause counts.
func (c *conn) fail(err error) error {
	if c.err == nil && err != errOver {
		c.err = err
	}
	c.over = true
	return err
}

// drain makes the connection end as soon as no message is in hand.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.waiting && !c.busy {
		c.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// setBusy says whether a message is in hand.
func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

// socket reads and writes what lies under the buffers, each time by its deadline.
type socket struct{ *conn }

// Read sends what is waiting to be sent and waits for the client.
func (s socket) Read(p []byte) (int, error) {
	if err := s.out.Flush(); err != nil {
		return 0, fmt.Errorf("answer: %w", err)
	}
	if err := s.await(); err != nil {
		return 0, err
	}
	n, err := s.stream.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	if err != nil && s.draining && !s.busy {
		return n, errDraining
	}
	return n, err
}

func (s socket) await() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !s.busy {
		return errDraining
	}
	s.waiting = true
	until := s.deadline
	if s.content != nil {
		until = earlier(until, time.Now().Add(s.server.Limits.Read))
	}
	return s.SetReadDeadline(until)
}

// Write implements io.Writer.
func (s socket) Write(p []byte) (int, error) {
	s.SetWriteDeadline(time.Now().Add(s.server.Limits.Write))
	return s.stream.Write(p)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
