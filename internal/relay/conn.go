package relay

import (
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
