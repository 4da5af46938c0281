package dnstest

import (
	"context"
	"net"
)

// Resolver returns the standard library's resolver, made to ask this server only:
// an independent view, as a receiver has it.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Addr())
		},
	}
}
