package milter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"
)

const (
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = time.Second
)

// acceptRetry accepts a connection, trying again after temporary errors.
func acceptRetry(ctx context.Context, ln net.Listener, log *slog.Logger) (net.Conn, error) {
	for pause := firstBackoff; ; pause = min(2*pause, maxBackoff) {
		nc, err := ln.Accept()
		if err == nil || !isTemporary(err) {
			return nc, err
		}
		log.Warn("milter: accept failed, trying again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// isTemporary reports whether an Accept error may pass: too many open files, a
// connection that was gone before it was accepted.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}

// oneConn is a listener with one connection to give: the way to have a go-milter
// Server, and so a backend, per connection.
type oneConn struct {
	conn  *conn
	given bool
}

// Accept gives the connection; the second call returns when it is closed.
func (l *oneConn) Accept() (net.Conn, error) {
	if l.given {
		<-l.conn.done
		return nil, io.EOF
	}
	l.given = true
	return l.conn, nil
}

// Close implements net.Listener; the connection is closed by its session.
func (l *oneConn) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
