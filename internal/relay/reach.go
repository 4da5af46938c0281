package relay

import (
	"context"
	"errors"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// maxAddresses bounds how many addresses are tried for one message.
const maxAddresses = 10

// reach opens a session with the best server there is: all hosts in their order, all
// addresses of each. For a report no more is demanded of them than that, save of a next
// hop, about which no report is.
func (e *Engine) reach(ctx context.Context, s Settings, d mail.Domain, report bool) (*session, *trouble) {
	r := s.routeFor(d)
	report = report && r.Via == ""
	hosts, err := e.hosts(ctx, s, r, d)
	if why, ok := errors.AsType[*trouble](err); ok {
		return nil, why
	}
	last := later("4.4.1", "no server of %s can be reached", d)
	tried := 0
	to := r.destination(d, hosts)
	for _, h := range hosts {
		var policy tlspolicy.Policy
		var why *trouble
		if report {
			policy = e.reportPolicy(ctx, to, h)
		} else if policy, why = e.hostPolicy(ctx, r, to, h); why != nil {
			last = why
			continue
		}
		for _, a := range h.addresses {
			if tried++; tried > maxAddresses || ctx.Err() != nil {
				return nil, last
			}
			o := opening{s, r, to, h, a, r.secured(policy, a.Addr()), report}
			if report {
				o.policy = forReport(o.policy)
			}
			session, why := e.reachAt(ctx, o)
			if why == nil {
				return session, nil
			}
			last = why
		}
	}
	return nil, last
}

func (e *Engine) reachAt(ctx context.Context, o opening) (*session, *trouble) {
	session, err := e.open(ctx, o)
	if err == nil {
		return session, nil
	}
	if why, ok := errors.AsType[*trouble](err); ok {
		return nil, why
	}
	why := later("4.4.1", "%v", err)
	why.host = o.host.name
	return nil, why
}
