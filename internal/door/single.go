package door

import (
	"io"
	"net"
)

// Single returns a listener with one connection to give, for libraries that serve
// listeners: so each connection has a server, and its state, of its own. Its second
// Accept returns io.EOF when through is closed; Close does nothing.
func Single(c net.Conn, through <-chan struct{}) net.Listener {
	return &single{conn: c, through: through}
}

type single struct {
	conn    net.Conn
	through <-chan struct{}
	given   bool
}

func (l *single) Accept() (net.Conn, error) {
	if l.given {
		<-l.through
		return nil, io.EOF
	}
	l.given = true
	return l.conn, nil
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return l.conn.LocalAddr() }
