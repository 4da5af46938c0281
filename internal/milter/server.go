package milter

import (
	"context"
	"net"

	"mailgate/internal/door"
)

// Serve answers connections of ln until ctx is done. Then it closes ln and the
// connections without a message in hand, waits up to DrainTimeout for the rest,
// closes them too, and returns nil. It returns an error only when ln fails.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	d := s.withDefaults()
	return door.New(door.Options{
		Name:     "milter",
		Drain:    d.DrainTimeout,
		Limit:    d.MaxConns,
		Panicked: func() { d.Metrics.failed("panic") },
		Log:      d.Log,
	}).Serve(ctx, ln, func(ctx context.Context, c *door.Conn) { d.serve(ctx, newConn(c, d)) })
}
