package relay

import (
	"errors"
	"net"
	"time"
)

// timedConn gives every write its own deadline, so that an MTA which takes no more
// bytes is found out however large the message is. The library sets deadlines for
// commands and answers only.
type timedConn struct {
	net.Conn
	timeout time.Duration
}

// Write implements net.Conn.
func (c timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// maxAnswer is how much a server may say before it is asked something else, in bytes.
const maxAnswer = 256 << 10

var errTalkative = errors.New("the server's answer has no end")

// terse ends a session with a server that says too much: an answer may have any number
// of lines, and the libraries keep them all.
type terse struct {
	net.Conn
	left int
}

func newTerse(c net.Conn) *terse { return &terse{c, maxAnswer} }

// Read implements net.Conn.
func (c *terse) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTalkative
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Write implements net.Conn.
func (c *terse) Write(p []byte) (int, error) {
	c.left = maxAnswer
	return c.Conn.Write(p)
}
