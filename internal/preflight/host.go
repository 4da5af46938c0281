package preflight

import (
	"context"
	"net/netip"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// addresses returns the addresses of a host: Yes and the addresses, No when it
// has none, Maybe when DNS doesn't tell.
func (q *inquiry) addresses(ctx context.Context, host string) ([]netip.Addr, Tri) {
	var found []netip.Addr
	none := No
	for _, qtype := range []string{"A", "AAAA"} {
		a := q.recursive(ctx, host, qtype)
		if isUnknown(a) {
			none = Maybe
		}
		for _, r := range a.Records {
			if address, err := netip.ParseAddr(r.Text); err == nil {
				found = append(found, address.Unmap())
			}
		}
	}
	if len(found) > 0 {
		return found, Yes
	}
	return nil, none
}

// maxPTRNames bounds how many names of one address are looked at.
const maxPTRNames = 10

// checkPTR finds out whether an egress address has a name that leads back to it.
func (q *inquiry) checkPTR(ctx context.Context, address netip.Addr) (Finding, Tri) {
	a := q.recursive(ctx, dnsview.ReverseName(address), "PTR")
	if isUnknown(a) {
		f := unreachable(PTR, a)
		f.Address = address.String()
		return f, Maybe
	}
	f := Finding{Check: PTR, Name: a.Name, Address: address.String(), Evidence: evidence(a)}
	names := a.Texts()
	if len(names) == 0 {
		f.Code, f.Status = "ptr-missing", Warn
		f.Text = address.String() + " has no name in DNS (PTR)."
		if address.Is6() {
			f.Code, f.Status = "ipv6-without-ptr", Fail
			f.Text = address.String() + " has no name in DNS (PTR); Gmail refuses mail over IPv6 from such an address."
		}
		return f, No
	}
	f.Record = list(names[:min(len(names), 3)])
	name, confirmed := q.confirm(ctx, address, names)
	switch confirmed {
	case Yes:
		f.Code, f.Status, f.Text = "ptr-ok", Pass, name+" (forward-confirmed)."
	case No:
		f.Code, f.Status = "ptr-not-confirmed", Warn
		f.Text = address.String() + " is named " + f.Record + ", but that name has other addresses or none."
		if address.Is6() {
			f.Status = Fail
		}
	default:
		f.Code, f.Status = "dns-unreachable", Unknown
		f.Text = "DNS gives no answer about the addresses of " + f.Record + "."
	}
	return f, confirmed
}

// confirm looks for a name among names that leads back to address.
func (q *inquiry) confirm(ctx context.Context, address netip.Addr, names []string) (string, Tri) {
	confirmed := No
	for _, name := range names[:min(len(names), maxPTRNames)] {
		addresses, status := q.addresses(ctx, name)
		if status == Maybe {
			confirmed = Maybe
		}
		for _, found := range addresses {
			if found == address.Unmap() {
				return name, Yes
			}
		}
	}
	return "", confirmed
}

// checkHelo finds out whether the name we say in HELO exists.
func (q *inquiry) checkHelo(ctx context.Context) Finding {
	helo := string(q.id.Helo)
	f := Finding{Check: Host, Name: helo}
	switch _, status := q.addresses(ctx, helo); status {
	case Yes:
		f.Code, f.Status, f.Text = "helo-ok", Pass, "The HELO name "+helo+" has an address."
	case No:
		f.Code, f.Status, f.Text = "helo-unresolvable", Warn, "The HELO name "+helo+" has no address in DNS."
	default:
		f.Code, f.Status, f.Text = "dns-unreachable", Unknown, "DNS gives no answer about the HELO name "+helo+"."
	}
	return f
}

// checkSOA finds out whether a sender domain is in the public DNS: a zone's SOA
// covers it. A name without SOA of its own has that of the zone above it; only
// one that does not exist has none.
func (q *inquiry) checkSOA(ctx context.Context, domain mail.Domain) (Finding, Tri) {
	a := q.recursive(ctx, string(domain), "SOA")
	f := Finding{Check: SOA, Name: string(domain), Evidence: evidence(a)}
	switch {
	case isUnknown(a):
		return unreachable(SOA, a), Maybe
	case a.Status == dnsview.NXDomain:
		f.Code, f.Status = "soa-missing", Fail
		f.Text = "The domain " + string(domain) + " does not exist in DNS; mail from it is refused by many."
		return f, No
	}
	f.Code, f.Status, f.Text = "soa-ok", Pass, "The domain "+string(domain)+" exists in DNS."
	return f, Yes
}
