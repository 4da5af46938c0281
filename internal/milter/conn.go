package milter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-milter"

	"mailgate/internal/door"
)

const (
	readBuffer  = 16 << 10 // most messages come in one read or two
	writeBuffer = 4 << 10
)

var errQuitNew = errors.New("next SMTP connection wanted")

// conn is the connection as the library sees it. It reads whole, checked frames in
// a lawful order, and ends in io.EOF whatever happened, which the library takes
// without a word to the global logger; the cause is kept in err. Writes are sent
// when the library has nothing more to do than to wait for the next frame.
type conn struct {
	*door.Conn
	server  *Server
	session *session // nil until the negotiation is read

	in     *bufio.Reader
	out    *bufio.Writer
	frame  frame  // memory of the current frame
	rest   []byte // of the current frame: what the library has not read yet
	macros []byte // payload of the last macro frame the library was given
	err    error  // why the conversation ended; nil after QUIT

	close sync.Once
	done  chan struct{} // closed by Close
}

func newConn(nc *door.Conn, s *Server) *conn {
	c := &conn{Conn: nc, server: s, done: make(chan struct{})}
	c.in = bufio.NewReaderSize(nc, readBuffer)
	c.out = bufio.NewWriterSize(timedWriter{nc, s.FrameTimeout}, writeBuffer)
	return c
}

// negotiation reads the first frame, which must be the MTA's offer, and leaves it
// to be read by the library.
func (c *conn) negotiation() (offer, error) {
	if err := c.readFrame(c.server.FrameTimeout); err != nil {
		return offer{}, err
	}
	if c.frame.code() != milter.CodeOptNeg {
		return offer{}, fmt.Errorf("%q before the negotiation", byte(c.frame.code()))
	}
	c.rest = c.frame
	return parseOffer(c.frame.payload()), nil
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.next(); err != nil {
			c.fail(err)
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next sends what is waiting to be sent and reads frames up to the first that
// concerns the library. After each message the library is told to forget it, as
// most MTAs do themselves: it would gather the header fields of all messages.
func (c *conn) next() error {
	for c.rest = nil; c.rest == nil; {
		if err := c.out.Flush(); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if err := c.readFrame(c.server.IdleTimeout); err != nil {
			return err
		}
		if err := c.session.admit(c.frame.code()); err != nil {
			return err
		}
		if c.session.finished {
			c.macros = c.macros[:0]
		}
		if err := c.pass(); err != nil {
			return err
		}
	}
	if c.session.finished && c.frame.code() != milter.CodeAbort {
		c.rest = append([]byte{0, 0, 0, 1, byte(milter.CodeAbort)}, c.rest...)
	}
	return nil
}

// pass gives the current frame to the library, less what the library would lose
// or not understand.
func (c *conn) pass() error {
	switch c.frame.code() {
	case codeUnknown:
		return c.answerContinue()
	case milter.CodeQuitNewConn:
		return errQuitNew
	case milter.CodeMacro:
		if len(c.macros) > 0 && bytes.Equal(c.frame.payload()[1:], c.macros) {
			return nil // the same as before: sent with every header field
		}
		if c.macros = c.macros[:0]; len(c.frame) <= readBuffer {
			c.macros = append(c.macros, c.frame.payload()[1:]...)
		}
	case milter.CodeAbort:
		c.macros = c.macros[:0] // the library forgets them too
	case milter.CodeMail:
		c.session.smtputf8 = hasArgument(c.frame.payload(), "SMTPUTF8")
	case milter.CodeEOB:
		c.session.lastChunk = c.frame.payload()
	}
	c.rest = c.frame
	return nil
}

// answerContinue answers a command on the library's behalf.
func (c *conn) answerContinue() error {
	_, err := c.out.Write([]byte{0, 0, 0, 1, byte(milter.ActContinue)})
	return err
}

// Write implements net.Conn. A failure is reported by the next Read.
func (c *conn) Write(p []byte) (int, error) {
	if _, err := c.out.Write(p); err != nil {
		c.fail(fmt.Errorf("answer: %w", err))
	}
	return len(p), nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.close.Do(func() {
		c.Conn.Close()
		close(c.done)
	})
	return nil
}

func (c *conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// timedWriter gives every write its deadline.
type timedWriter struct {
	net.Conn
	timeout time.Duration
}

func (w timedWriter) Write(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.Conn.Write(p)
}
