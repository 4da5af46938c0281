package main

import (
	"context"
	"errors"
	"fmt"

	"mailgate/internal/relay"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
	"mailgate/internal/web"
)

// policyLookup is Lookup or Demanded of tlspolicy.Policies.
type policyLookup func(context.Context, tlspolicy.Destination) (tlspolicy.Policy, error)

// probing connects to the servers of destinations.
type probing struct {
	dns    relay.Resolver
	lookup policyLookup
	prober tlsprobe.Prober
	port   uint16 // of MX hosts
}

// errNoServer says that a destination has no server that could be probed.
var errNoServer = errors.New("nothing to probe")

// destination probes every server, calls each for it, and says what to do.
func (p probing) destination(ctx context.Context, d tlspolicy.Destination, each func(*tlsprobe.Host)) ([]*tlsprobe.Host, tlsprobe.Suggestion, error) {
	hosts, err := tlsHosts(ctx, p.dns, d, p.port)
	if err != nil {
		return nil, tlsprobe.Suggestion{}, err
	}
	var found []*tlsprobe.Host
	note := func(h *tlsprobe.Host) {
		found = append(found, h)
		each(h)
	}
	for _, h := range hosts {
		if err := ctx.Err(); err != nil {
			return found, tlsprobe.Suggestion{}, err
		}
		policy, err := p.lookup(ctx, h.at)
		var targets []tlsprobe.Target
		if err == nil {
			targets, err = h.targets(ctx, p.dns, policy)
		}
		if err != nil {
			note(&tlsprobe.Host{Name: string(h.name), Policy: policy, Error: err.Error()})
			continue
		}
		for _, t := range targets {
			note(p.prober.Host(ctx, t))
		}
	}
	if len(found) == 0 {
		return nil, tlsprobe.Suggestion{}, fmt.Errorf("%s: %w", destinationName(d), errNoServer)
	}
	return found, tlsprobe.Suggest(destinationName(d), found), nil
}

func destinationName(d tlspolicy.Destination) string {
	if d.NextHop != "" {
		return d.NextHop
	}
	return string(d.Domain)
}

// probeLine is one line of a probe's answer: a Host, at the end what to do, or what
// went wrong.
type probeLine struct {
	Host       *tlsprobe.Host       `json:"host,omitempty"`
	Suggestion *tlsprobe.Suggestion `json:"suggestion,omitempty"`
	Works      bool                 `json:"works,omitempty"` // with Suggestion: mail can be sent by the policy
	Problem    *web.Problem         `json:"problem,omitempty"`
}

// works reports whether any server takes mail by the policy.
func works(hosts []*tlsprobe.Host) bool {
	for _, h := range hosts {
		if h.Works() {
			return true
		}
	}
	return false
}
