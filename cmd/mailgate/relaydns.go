package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/relay"
)

// relayDNS answers the relay's questions through the view in force: what the
// recursive resolvers say, authentic where they vouch for it with the AD bit.
type relayDNS func() *dnsview.Resolver

// MX implements relay.Resolver.
func (current relayDNS) MX(ctx context.Context, domain mail.Domain) ([]relay.MX, bool, error) {
	a := current().Recursive(ctx, string(domain), "MX")
	if err := dnsError(a); err != nil {
		return nil, false, err
	}
	var list []relay.MX
	for _, r := range a.Records {
		list = append(list, relay.MX{Host: mail.Domain(strings.TrimSuffix(r.Text, ".")), Preference: r.Preference})
	}
	return list, a.Authentic, nil
}

// Addresses implements relay.Resolver.
func (current relayDNS) Addresses(ctx context.Context, host mail.Domain) ([]netip.Addr, bool, error) {
	resolver := current()
	types := [...]string{"AAAA", "A"}
	var answers [len(types)]dnsview.Answer
	var both errgroup.Group
	for i, qtype := range types {
		both.Go(func() error {
			answers[i] = resolver.Recursive(ctx, string(host), qtype)
			return nil
		})
	}
	_ = both.Wait()
	var list []netip.Addr
	var faults []error
	authentic := true
	for _, a := range answers {
		authentic = authentic && a.Authentic
		if err := dnsError(a); err != nil {
			faults = append(faults, err)
		}
		for _, r := range a.Records {
			if address, err := netip.ParseAddr(r.Text); err == nil {
				list = append(list, address.Unmap())
			}
		}
	}
	return list, authentic, oneFault(faults)
}

// oneFault is ErrNoName only where no other fault leaves it open.
func oneFault(faults []error) error {
	for _, err := range faults {
		if !errors.Is(err, relay.ErrNoName) {
			return err
		}
	}
	return errors.Join(faults...)
}

// dnsError is nil where there are records, or certainly none.
func dnsError(a dnsview.Answer) error {
	switch a.Status {
	case dnsview.Found, dnsview.NoData:
		return nil
	case dnsview.NXDomain:
		return relay.ErrNoName
	}
	why := "no answer"
	if n := len(a.Observations); n > 0 {
		o := a.Observations[n-1]
		why = strings.TrimSpace(o.Server + " " + o.Rcode + " " + o.Error)
	}
	return fmt.Errorf("%s %s: %s", a.Name, a.Type, why)
}
