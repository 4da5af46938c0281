package dnsview

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxServers = 8                // asked of one zone
	maxClimb   = 16               // labels gone up to find an SOA
	zoneTTL    = time.Hour        // longest life of cuts, name servers and their addresses
	zoneAge    = 30 * time.Second // of a cut that is fresh enough for Fresh
)

// Zone is where a name lives.
type Zone struct {
	Apex         string
	NameServers  []string
	Status       Status // Found or Unknown
	Expires      time.Time
	Observations []Observation
}

// ZoneOf finds the zone that holds name: its apex and its name servers.
func (r *Resolver) ZoneOf(ctx context.Context, name string) Zone {
	fqdn, problem := parseName(name)
	if problem != "" {
		o := Observation{View: Recursive, Name: name, Type: "SOA", When: r.options.Now(), Error: problem}
		return Zone{Status: Unknown, Expires: r.options.Now().Add(r.options.NegativeTTL), Observations: []Observation{o}}
	}
	z := r.zone(ctx, fqdn)
	z.Apex = display(z.Apex)
	z.NameServers = displayAll(z.NameServers)
	return z
}

// zone is ZoneOf in canonical names.
func (r *Resolver) zone(ctx context.Context, name string) Zone {
	ctx = relax(ctx)
	cut := r.remember(ctx, r.cuts, name, func(ctx context.Context) Zone { return r.findCut(ctx, name) })
	if cut.Status != Found {
		return cut
	}
	z := r.remember(ctx, r.delegations, cut.Apex, func(ctx context.Context) Zone { return r.findServers(ctx, cut.Apex) })
	z.Observations = slices.Concat(cut.Observations, z.Observations)
	if cut.Expires.Before(z.Expires) {
		z.Expires = cut.Expires
	}
	return z
}

// remember looks a Zone up through a memo.
func (r *Resolver) remember(ctx context.Context, m *memo[Zone], key string, look func(context.Context) Zone) Zone {
	z, err := m.get(ctx, key, func(ctx context.Context) outcome[Zone] {
		z := look(ctx)
		return outcome[Zone]{value: z, expires: z.Expires, unknown: z.Status != Found}
	})
	if err != nil {
		return r.unknownZone(key, nil, err)
	}
	return z
}

func (r *Resolver) unknownZone(name string, observations []Observation, err error) Zone {
	if err != nil {
		o := Observation{View: Recursive, Name: display(name), Type: "SOA", When: r.options.Now(), Error: describe(err)}
		observations = append(observations, o)
	}
	return Zone{Status: Unknown, Expires: r.options.Now().Add(r.options.UnknownTTL), Observations: observations}
}

// findCut asks for the SOA of name: the one that comes back, as answer or as
// proof that there is none, is that of the name's own zone (RFC 2308, section
// 2). Where an alias hides it, or a resolver leaves it out, the parent is asked:
// an alias is never an apex.
func (r *Resolver) findCut(ctx context.Context, name string) Zone {
	var all []Observation
	at := name
	for range maxClimb {
		m, observations := r.askResolvers(ctx, question{at, dns.TypeSOA})
		all = append(all, observations...)
		if m == nil && !r.brokenAlias(ctx, at, observations) {
			break
		}
		if m != nil {
			if apex, ttl, ok := apexFrom(m, at); ok {
				return Zone{Apex: apex, Status: Found, Expires: r.zoneExpiry(ttl), Observations: all}
			}
		}
		if at == "." {
			break
		}
		at = parent(at)
	}
	return r.unknownZone(name, all, nil)
}

// brokenAlias reports whether resolvers fail for name only because it is an
// alias that leads nowhere, as a loop does.
func (r *Resolver) brokenAlias(ctx context.Context, name string, seen []Observation) bool {
	failed := func(o Observation) bool { return o.Rcode != "" }
	if !slices.ContainsFunc(seen, failed) {
		return false
	}
	m, _ := r.askResolvers(ctx, question{name, dns.TypeCNAME})
	return m != nil && read(m, question{name, dns.TypeCNAME}).status == Found
}

// zoneExpiry gives structure a longer life than records have: a negative TTL
// says nothing about the zone it came from.
func (r *Resolver) zoneExpiry(ttl uint32) time.Time {
	life := min(max(time.Duration(ttl)*time.Second, 5*time.Minute), zoneTTL)
	return r.options.Now().Add(life)
}

// findServers asks for the name servers of a zone. A zone without any is Found
// with an empty list.
func (r *Resolver) findServers(ctx context.Context, apex string) Zone {
	m, observations := r.askResolvers(ctx, question{apex, dns.TypeNS})
	if m == nil {
		z := r.unknownZone(apex, observations, nil)
		z.Apex = apex
		return z
	}
	d := read(m, question{apex, dns.TypeNS})
	z := Zone{Apex: apex, Status: Found, Expires: r.zoneExpiry(d.ttl), Observations: observations}
	for _, rec := range d.records {
		z.NameServers = append(z.NameServers, dns.CanonicalName(dns.Fqdn(rec.Text)))
	}
	slices.Sort(z.NameServers)
	return z
}

// server is a name server with the addresses to ask it at, host and port.
type server struct {
	name  string
	addrs []string
}

// servers looks up the addresses of hosts, at most eight of them; given are
// those a referral brought, used where look-ups find nothing.
func (r *Resolver) servers(ctx context.Context, hosts []string, given map[string][]string) []server {
	hosts = hosts[:min(len(hosts), maxServers)]
	servers := make([]server, len(hosts))
	var wg sync.WaitGroup
	for i, host := range hosts {
		wg.Go(func() {
			addrs := r.addressesOf(ctx, host)
			if len(addrs) == 0 {
				addrs = given[host]
			}
			servers[i] = server{name: display(host), addrs: r.withPort(addrs)}
		})
	}
	wg.Wait()
	return servers
}

// withPort keeps one address of each family.
func (r *Resolver) withPort(addrs []string) []string {
	var out []string
	families := map[bool]bool{}
	for _, a := range addrs {
		v6 := net.ParseIP(a).To4() == nil
		if !families[v6] {
			families[v6] = true
			out = append(out, net.JoinHostPort(a, r.port()))
		}
	}
	return out
}

// addressesOf returns a host's addresses, IPv4 first. IPv6 is asked for where
// it can be used, or where there is nothing else.
func (r *Resolver) addressesOf(ctx context.Context, host string) []string {
	addrs, err := r.addresses.get(relax(ctx), host, func(ctx context.Context) outcome[[]string] {
		found, ttl := r.findAddresses(ctx, host, dns.TypeA)
		if len(found) == 0 || r.routeIPv6() {
			more, ttl6 := r.findAddresses(ctx, host, dns.TypeAAAA)
			found, ttl = append(found, more...), min(ttl, ttl6)
		}
		if len(found) == 0 {
			return outcome[[]string]{expires: r.options.Now().Add(r.options.UnknownTTL), unknown: true}
		}
		return outcome[[]string]{value: found, expires: r.zoneExpiry(ttl)}
	})
	if err != nil {
		return nil
	}
	return addrs
}

func (r *Resolver) findAddresses(ctx context.Context, host string, qtype uint16) ([]string, uint32) {
	q := question{host, qtype}
	m, _ := r.askResolvers(ctx, q)
	if m == nil {
		return nil, noTTL
	}
	d := read(m, q)
	var out []string
	for _, rec := range d.records {
		out = append(out, rec.Text)
	}
	if len(out) == 0 {
		return nil, noTTL
	}
	return out, d.ttl
}

// routeIPv6 reports whether this host can send IPv6 to the Internet; connecting
// a UDP socket sends nothing.
func routeIPv6() bool {
	c, err := net.Dial("udp6", "[2001:db8::1]:53")
	if err != nil {
		return false
	}
	c.Close()
	return true
}
