package smtpd

import (
	"context"
	"fmt"
	"net"

	"mailgate/internal/door"
)

// Serve takes mail at l until ctx is done. Then it closes l and the connections
// without a message in hand, waits up to Limits.Drain for the rest, closes them
// too, and returns nil. It returns an error only when l is impossible or fails.
func (s *Server) Serve(ctx context.Context, l Listener) error {
	if l.TLS != "" && l.TLS != TLSOff && l.Config == nil {
		l.Close()
		return fmt.Errorf("serve SMTP on %s: TLS is %s, and there is no certificate", l.Addr(), l.TLS)
	}
	if l.Profile == Legacy {
		s.Log.Warn("smtpd: TLS 1.0 and RSA key exchange are accepted, for old clients only", "listen", l.Addr().String())
	}
	return s.door.Serve(ctx, l, func(ctx context.Context, c *door.Conn) { s.session(ctx, newConn(c, s, &l)) })
}

// newDoor makes the door of all listeners.
func newDoor(c Config) *door.Door {
	return door.New(door.Options{
		Name:      "smtpd",
		Drain:     c.Limits.Drain,
		Limit:     c.Limits.Sessions,
		PerClient: c.Limits.SessionsPerClient,
		TurnAway: func(nc net.Conn) {
			c.Metrics.failed("busy")
			fmt.Fprintf(nc, "421 4.3.2 %s too many connections, try again later\r\n", c.Name)
		},
		Panicked: func() { c.Metrics.failed("panic") },
		Log:      c.Log,
	})
}
