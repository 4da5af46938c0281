package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// viewAt asks one server only. Its name is looked up by v, which asks the resolvers.
func (a *app) viewAt(ctx context.Context, v *view, at string) (*view, error) {
	host, port, err := splitAt(at)
	if err != nil {
		return nil, usageError(err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		if address, err = lookUpAt(ctx, v, host); err != nil {
			return nil, err
		}
	}
	resolver, err := dnsview.New(dnsview.Options{At: net.JoinHostPort(address.String(), port), LookupTime: a.dnsTime})
	if err != nil {
		return nil, usageError(fmt.Errorf("--at %s: %w", at, err))
	}
	return &view{dns: v.dns, resolver: resolver, checker: preflight.New(resolver, preflight.Options{Timeout: a.dnsTime})}, nil
}

// lookUpAt finds the address of a name server, IPv4 before IPv6.
func lookUpAt(ctx context.Context, v *view, host string) (netip.Addr, error) {
	if _, err := mail.ParseDomain(host); err != nil {
		return netip.Addr{}, usageError(fmt.Errorf("--at: %w", err))
	}
	for _, kind := range []string{"A", "AAAA"} {
		a := v.resolver.Recursive(ctx, host, kind)
		for _, text := range a.Texts() {
			if address, err := netip.ParseAddr(text); err == nil {
				return address, nil
			}
		}
		if a.Status == dnsview.Unknown {
			return netip.Addr{}, coded(exitUnknown, fmt.Errorf("--at %s: DNS gives no answer about its address; give the address itself", host))
		}
	}
	return netip.Addr{}, usageError(fmt.Errorf("--at %s: DNS has no address of it", host))
}

// withoutElsewhere leaves out what one server alone can't tell: names of addresses
// are in other zones than the domain's, hardly ever on the same server.
func withoutElsewhere(r *preflight.Report) (shown *preflight.Report, left bool) {
	copied := *r
	copied.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f preflight.Finding) bool {
		elsewhere := (f.Check == preflight.PTR || f.Check == preflight.Host) && f.Status == preflight.Unknown
		left = left || elsewhere
		return elsewhere
	})
	return &copied, left
}
