package tlspolicy

import (
	"context"
	"slices"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// mxKnown returns the MX hosts that a caller names, and whether these are all there
// is to know: next hops have none.
func (d Destination) mxKnown() ([]mail.Domain, bool) {
	switch {
	case len(d.MX) > 0 || d.NextHop != "":
		return d.MX, true
	case d.Host != "":
		return []mail.Domain{d.Host}, true
	}
	return nil, false
}

// withMX completes a destination by its MX hosts, for overrides that are about them.
// Where DNS doesn't tell, it has none, and the error wraps ErrUnsettled.
func (d Destination) withMX(ctx context.Context, dns DNS) (Destination, error) {
	if known, ok := d.mxKnown(); ok {
		d.MX = known
		return d, nil
	}
	a := dns.Recursive(ctx, string(d.Domain), "MX")
	if a.Status == dnsview.Unknown {
		return d, unsettled(d, fault(a)+", and there are overrides for MX hosts")
	}
	d.MX = mxHosts(a)
	return d, nil
}

// overrides returns those of a destination, and the destination with the MX hosts
// where these matter. The error is that of withMX, where one that may be for its MX
// hosts secures connections, and none that is closer has a level.
func (p *Policies) overrides(ctx context.Context, d Destination, dns DNS) (layers, Destination, error) {
	now := p.now()
	tables := []*Table{p.runtime.Load(), p.o.Table()}
	found := find(d.targets, now, tables...)
	if found.level() == nil && slices.ContainsFunc(tables, (*Table).forMX) {
		var err error
		if d, err = d.withMX(ctx, dns); err != nil && slices.ContainsFunc(tables, func(t *Table) bool { return t.securesMX(now) }) {
			return found, d, err
		}
		found = find(d.targets, now, tables...)
	}
	if o := found.level(); o != nil && o.Level == None && !o.Anyway {
		d, _ = d.withMX(ctx, dns) // may be those of one who refuses mail without TLS; what DNS doesn't tell isn't so
	}
	return found, d, nil
}
