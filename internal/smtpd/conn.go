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
	"time"

	"github.com/pires/go-proxyproto"

	"mailgate/internal/door"
)

const (
	readBuffer  = 16 << 10 // also the longest command line; AUTH may need 12,288 (RFC 4954 section 4)
	writeBuffer = 4 << 10
)

var (
	errLong = errors.New("command line too long")
	errOver = errors.New("session over") // everything is said
)

// conn is the connection as the library sees it. It reads single command lines,
// and at the end of a conversation io.EOF, whatever happened; the cause is kept in
// err. Replies go out when there is nothing to do but to wait for the client.
type conn struct {
	net.Conn // the socket, behind the PROXY header where there is one
	door     *door.Conn
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
}

func newConn(in *door.Conn, s *Server, l *Listener) *conn {
	c := &conn{door: in, server: s, listener: l, expiry: time.Now().Add(s.Limits.Session)}
	c.log = s.Log.With("peer", in.Peer())
	c.client = addressOf(in.RemoteAddr())
	nc := net.Conn(in)
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
		return fmt.Errorf("TLS handshake: %w%s", err, c.listener.oldTLS(err))
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

// socket reads and writes what lies under the buffers, each time by its deadline.
type socket struct{ *conn }

// Read sends what is waiting to be sent and waits for the client.
func (s socket) Read(p []byte) (int, error) {
	if err := s.out.Flush(); err != nil {
		return 0, fmt.Errorf("answer: %w", err)
	}
	until := s.deadline
	if s.content != nil {
		until = earlier(until, time.Now().Add(s.server.Limits.Read))
	}
	if err := s.door.Await(until); err != nil {
		return 0, err
	}
	n, err := s.stream.Read(p)
	return n, s.door.Came(err)
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
