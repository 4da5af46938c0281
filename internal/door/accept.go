package door

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = time.Second
)

// accept hands out connections until ctx is done or ln fails for good.
func (d *Door) accept(ctx context.Context, ln net.Listener, begin func(*Conn)) error {
	for {
		nc, err := d.acceptRetry(ctx, ln)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		c := &Conn{Conn: nc}
		switch {
		case d.enter():
			begin(c)
		case d.o.TurnAway != nil:
			d.turnAway(c)
		case d.wait(ctx):
			begin(c)
		default:
			c.Close()
			return nil
		}
	}
}

// acceptRetry accepts a connection, trying again after temporary errors.
func (d *Door) acceptRetry(ctx context.Context, ln net.Listener) (net.Conn, error) {
	for pause := firstBackoff; ; pause = min(2*pause, maxBackoff) {
		nc, err := ln.Accept()
		if err == nil || !isTemporary(err) {
			return nc, err
		}
		d.o.Log.Warn(d.o.Name+": accept failed, trying again", "error", err, "pause", pause)
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

// lastWord is how long turnAway may take. What is said fits into the buffer of a new
// socket, so that only a machine that stands still takes more than a moment.
const lastWord = 10 * time.Second

// turnAway never waits long: what is said fits into the socket's buffer, or is lost.
func (d *Door) turnAway(c *Conn) {
	d.warn("connection turned away", "peer", c.Peer(), "why", "too many connections")
	c.SetWriteDeadline(time.Now().Add(lastWord))
	d.o.TurnAway(c)
	c.Close()
}
