package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"

	"mailgate/internal/mail"
)

// ErrNoName is NXDOMAIN: the name doesn't exist, nor anything below it.
var ErrNoName = errors.New("no such name in DNS")

// MX is one MX record.
type MX struct {
	Host       mail.Domain // empty: the root, by which a domain says that it takes no mail (RFC 7505)
	Preference uint16
}

// Resolver asks DNS. No records and no error: there are none of that type. ErrNoName
// says NXDOMAIN; any other error, that DNS gave no answer one can rely on.
// authentic says that the answer was validated by DNSSEC.
type Resolver interface {
	MX(ctx context.Context, domain mail.Domain) (records []MX, authentic bool, err error)
	// Addresses gives those of both families. With an error it may still give some.
	Addresses(ctx context.Context, host mail.Domain) (addresses []netip.Addr, authentic bool, err error)
}

// maxHosts bounds how many MX hosts of a domain are looked at.
const maxHosts = 20

// host is a server mail may be given to.
type host struct {
	name       string
	preference uint16
	addresses  []netip.AddrPort
}

// hosts returns the servers for a domain, best first. An error is a *trouble.
func (e *Engine) hosts(ctx context.Context, s Settings, r Route, d mail.Domain) ([]host, error) {
	if r.Via != "" {
		return e.viaHosts(ctx, r)
	}
	if d == "" {
		return nil, forGood("5.1.2", "the address has no domain, and no route says where it goes")
	}
	records, _, err := e.o.Resolver.MX(ctx, d)
	switch {
	case errors.Is(err, ErrNoName):
		return nil, forGood("5.1.2", "the domain %s does not exist", d)
	case err != nil:
		return nil, later("4.4.3", "DNS gives no answer about the MX hosts of %s: %v", d, err)
	case len(records) == 1 && records[0].Host == "":
		return nil, forGood("5.1.10", "%s takes no mail: its MX record says so (RFC 7505)", d)
	case len(records) == 0:
		records = []MX{{Host: d}}
	}
	return e.mxHosts(ctx, s, d, inOrder(records))
}

// inOrder sorts by preference; what is equally good is shuffled (RFC 5321 section 5.1).
func inOrder(records []MX) []MX {
	records = slices.Clone(records)
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return records[:min(len(records), maxHosts)]
}

// mxHosts looks the hosts up. We ourselves, and what is no better than we, are left
// out (RFC 5321 section 5.1): it would give the mail back to us.
func (e *Engine) mxHosts(ctx context.Context, s Settings, d mail.Domain, records []MX) ([]host, error) {
	var hosts []host
	var unknown error
	loop := ""
	local := e.o.Local()
	for _, mx := range records {
		addresses, _, err := e.o.Resolver.Addresses(ctx, mx.Host)
		if err != nil && !errors.Is(err, ErrNoName) {
			unknown = err
		}
		if mx.Host == s.Hostname || s.isOurs(addresses, local) {
			loop = string(mx.Host)
			hosts = slices.DeleteFunc(hosts, func(h host) bool { return h.preference >= mx.Preference })
			break
		}
		if usable := s.usable(addresses, s.Port); len(usable) > 0 {
			hosts = append(hosts, host{string(mx.Host), mx.Preference, usable})
		} else if len(addresses) > 0 {
			unknown = fmt.Errorf("%s has only addresses that none of egress can reach", mx.Host)
		}
	}
	switch {
	case len(hosts) > 0:
		return hosts, nil
	case unknown != nil:
		return nil, later("4.4.3", "no MX host of %s can be found at present: %v", d, unknown)
	case loop != "":
		return nil, comesBack(d, loop)
	case len(records) == 1 && records[0].Host == d:
		return nil, forGood("5.1.2", "the domain %s has neither an MX record nor an address", d)
	}
	return nil, forGood("5.4.4", "none of the MX hosts of %s has an address", d)
}

// isOurs tells a host that is this machine, or says that it is.
func (s Settings) isOurs(addresses, local []netip.Addr) bool {
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool {
		a = a.Unmap()
		if a.IsLoopback() || a.IsUnspecified() {
			return !s.Loopback
		}
		return slices.Contains(local, a)
	})
}

// usable leaves out the families that mail doesn't leave from: what pre-flight says
// of SPF holds for the egress addresses only. The others are taken in turns.
func (s Settings) usable(addresses []netip.Addr, port uint16) []netip.AddrPort {
	var four, six []netip.AddrPort
	for _, a := range addresses {
		a = a.Unmap()
		switch {
		case !s.leavesFrom(a.Is4()) || a.IsMulticast():
		case a.Is4():
			four = append(four, netip.AddrPortFrom(a, port))
		default:
			six = append(six, netip.AddrPortFrom(a, port))
		}
	}
	var list []netip.AddrPort
	for i := range max(len(four), len(six)) {
		list = append(list, six[min(i, len(six)):min(i+1, len(six))]...)
		list = append(list, four[min(i, len(four)):min(i+1, len(four))]...)
	}
	return list
}

func (s Settings) leavesFrom(four bool) bool {
	return len(s.Egress) == 0 || slices.ContainsFunc(s.Egress, func(a netip.Addr) bool { return a.Unmap().Is4() == four })
}

// viaHosts is the next hop. What is wrong with it is ours to mend, so no message is
// given up for it.
func (e *Engine) viaHosts(ctx context.Context, r Route) ([]host, error) {
	name, portText := r.hop()
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, later("4.3.5", "the next hop %s has no valid port", r.Via)
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return []host{{name: name, addresses: []netip.AddrPort{netip.AddrPortFrom(a, uint16(port))}}}, nil
	}
	addresses, _, err := e.o.Resolver.Addresses(ctx, mail.Domain(name))
	if len(addresses) == 0 {
		if err == nil {
			err = errors.New("it has no address")
		}
		return nil, later("4.4.4", "the next hop %s can't be found: %v", r.Via, err)
	}
	return []host{{name: name, addresses: (Settings{}).usable(addresses, uint16(port))}}, nil
}
