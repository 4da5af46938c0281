package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mailgate/internal/dnsview"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
	"mailgate/internal/web"
)

// tlsAPI implements web.TLS.
type tlsAPI struct{ g *gateway }

func (v tlsAPI) dns() relayDNS {
	return relayDNS(func() *dnsview.Resolver { return v.g.live.Load().view.resolver })
}

// Policy implements web.TLS.
func (v tlsAPI) Policy(ctx context.Context, destination string) (web.TLSPolicy, error) {
	d, err := destinationQuery(destination)
	if err != nil {
		return web.TLSPolicy{}, err
	}
	hosts, hostsErr := tlsHosts(ctx, v.dns(), d, v.smtpPort())
	for _, h := range hosts {
		d.MX = h.at.MX
	}
	view := web.TLSPolicy{Destination: destinationName(d)}
	view.InForce, err = v.g.policies.Lookup(ctx, d)
	view.RunTime = madeAtRunTime(v.g.policies.Overrides(), view.InForce.Destination)
	if view.InForce.Destination == view.Destination { // or else the override it was for is gone
		view.Probe = v.g.watch.last(view.Destination)
	}
	if err == nil {
		view.Demanded, err = v.g.policies.Demanded(ctx, d)
	}
	if err := errors.Join(err, hostsErr); err != nil {
		view.Problem = err.Error()
	}
	if view.InForce.Level != 0 {
		view.Postfix = view.InForce.Postfix()
	}
	if s, ok := v.g.policies.STS(d.Domain); ok {
		view.STS = &s
	}
	for _, h := range hosts {
		view.Hosts = append(view.Hosts, v.host(ctx, h))
	}
	return view, nil
}

func (v tlsAPI) host(ctx context.Context, h tlsHost) web.TLSHost {
	host := web.TLSHost{Host: string(h.name)}
	policy, err := v.g.policies.Lookup(ctx, h.at)
	if err != nil {
		host.Problem = err.Error()
		return host
	}
	host.InForce, host.Allowed = policy, policy.Allows(h.name)
	for _, l := range v.g.policies.Learned() {
		if l.Host == h.name {
			host.Learned = &l
		}
	}
	return host
}

// Overrides implements web.TLS.
func (v tlsAPI) Overrides(context.Context) (web.TLSOverrides, error) {
	list := web.TLSOverrides{Overrides: []web.TLSOverridden{}, Learned: v.g.policies.Learned()}
	for _, o := range v.g.policies.Overrides() {
		list.Overrides = append(list.Overrides, web.TLSOverridden{Override: o, Probe: v.g.watch.last(o.Destination)})
	}
	return list, nil
}

// SetOverride implements web.TLS.
func (v tlsAPI) SetOverride(ctx context.Context, order web.TLSOrder, actor string) (web.TLSChange, error) {
	order.Override.Reason = strings.TrimSpace(order.Override.Reason) // a blank one is none
	o := order.Override
	if o.Level == tlspolicy.None && (o.Reason == "" || o.Expires.IsZero()) {
		return web.TLSChange{}, fmt.Errorf("%w: level none sends mail in clear text: say why and until when", errQuery)
	}
	for _, step := range []struct {
		anyway bool
		fault  error
	}{{true, errQuery}, {order.Anyway, tlspolicy.ErrRefused}} {
		o.Anyway = step.anyway
		if _, err := tlspolicy.NewTable([]tlspolicy.Override{o}, nil); err != nil {
			return web.TLSChange{}, fmt.Errorf("%w: %w%s", step.fault, err, map[bool]string{false: " (to do it anyway: --anyway)"}[step.anyway])
		}
	}
	before, after, err := v.g.policies.SetOverride(ctx, order.Override, actor, order.Anyway)
	return web.TLSChange{Before: before, After: after}, err
}

// RemoveOverride implements web.TLS.
func (v tlsAPI) RemoveOverride(ctx context.Context, order web.TLSOrder, actor string) error {
	return v.g.policies.RemoveOverride(ctx, order.Override.Destination, actor, order.Reason)
}

// Probe implements web.TLS.
func (v tlsAPI) Probe(ctx context.Context, destination string, each func(any)) error {
	d, err := destinationQuery(destination)
	if err != nil {
		return err
	}
	hosts, suggestion, err := v.probing(v.g.policies.Lookup).destination(ctx, d, func(h *tlsprobe.Host) { each(probeLine{Host: h}) })
	if err != nil { // nothing could be found out: that is an answer, too
		each(probeLine{Problem: &web.Problem{Error: err.Error()}})
		return nil
	}
	each(probeLine{Suggestion: &suggestion, Works: works(hosts)})
	return nil
}

func (v tlsAPI) probing(lookup policyLookup) probing {
	prober := tlsprobe.Prober{Hostname: string(v.g.live.Load().settings.Hostname)}
	return probing{dns: v.dns(), lookup: lookup, prober: prober, port: v.smtpPort()}
}

// smtpPort is that of MX hosts.
func (v tlsAPI) smtpPort() uint16 {
	if v.g.wiring.smtpPort != 0 {
		return v.g.wiring.smtpPort
	}
	return 25
}
