package relay

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"mailgate/internal/mail"
)

// maxAddresses bounds how many addresses are tried for one message.
const maxAddresses = 10

// reach opens a session with the best server there is: all hosts in their order, all
// addresses of each.
func (e *Engine) reach(ctx context.Context, s Settings, d mail.Domain) (*session, *trouble) {
	r := s.routeFor(d)
	hosts, err := e.hosts(ctx, s, r, d)
	if why, ok := errors.AsType[*trouble](err); ok {
		return nil, why
	}
	last := later("4.4.1", "no server of %s can be reached", d)
	tried := 0
	for _, h := range hosts {
		for _, a := range h.addresses {
			if tried++; tried > maxAddresses || ctx.Err() != nil {
				return nil, last
			}
			session, why := e.reachAt(ctx, s, r, d, hosts, h, a)
			if why == nil {
				return session, nil
			}
			last = why
		}
	}
	return nil, last
}

func (e *Engine) reachAt(ctx context.Context, s Settings, r Route, d mail.Domain, hosts []host, h host, a netip.AddrPort) (*session, *trouble) {
	policy, err := e.o.Policies.Lookup(ctx, r.destination(d, slices.Clone(hosts)))
	if err != nil {
		return nil, later("4.7.5", "no TLS policy for %s: %v", d, err)
	}
	policy = r.secured(policy, a.Addr())
	if unkept := unkept(policy, d); unkept != nil {
		return nil, unkept
	}
	session, err := e.open(ctx, opening{s, r, h, a, policy})
	if err == nil {
		return session, nil
	}
	if why, ok := errors.AsType[*trouble](err); ok {
		return nil, why
	}
	why := later("4.4.1", "%v", err)
	why.host = h.name
	return nil, why
}
