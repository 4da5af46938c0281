// Package doortest is a listener without sockets, for tests of doors.
package doortest

import (
	"net"
	"sync"
)

// Pipes is a listener whose connections are pipes, for bubbles of testing/synctest. A
// pipe holds nothing: who writes waits until it is read.
type Pipes struct {
	// Peer is the address that clients seem to come from; nil: a pipe's, which is none.
	Peer net.Addr

	come   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipes returns a listener.
func NewPipes() *Pipes { return &Pipes{come: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *Pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// Dial returns the client's end of a connection, once it is accepted.
func (p *Pipes) Dial() net.Conn {
	here, there := net.Pipe()
	if p.Peer != nil {
		there = from{there, p.Peer}
	}
	p.come <- there
	return here
}

type from struct {
	net.Conn
	peer net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.peer }
