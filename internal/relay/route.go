package relay

import (
	"net"
	"net/netip"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// routeFor returns the route for a recipient domain: the one for the domain itself,
// that for the closest parent, that for all, the next hop, or none.
func (s Settings) routeFor(d mail.Domain) Route {
	best, length := s.NextHop, -1
	for _, r := range s.Routes {
		if n := r.fits(d); n > length {
			best, length = r, n
		}
	}
	return best
}

// fits says how closely a route's pattern names a domain; -1: not at all.
func (r Route) fits(d mail.Domain) int {
	pattern := strings.ToLower(r.Destination)
	switch {
	case pattern == "*":
		return 0
	case pattern == string(d):
		return len(pattern) + len(".")
	case strings.HasPrefix(pattern, ".") && strings.HasSuffix(string(d), pattern):
		return len(pattern)
	}
	return -1
}

// key names what connections may be shared for.
func (r Route) key(d mail.Domain) string {
	if r.Via == "" {
		return string(d)
	}
	return strings.ToLower(r.Via) + " " + r.User + " " + r.TLS.String()
}

// hop returns the host and port of Via.
func (r Route) hop() (host, port string) {
	host, port, err := net.SplitHostPort(r.Via)
	if err != nil {
		return strings.Trim(r.Via, "[]"), "25"
	}
	return host, port
}

// destination is what the TLS policy is looked up for.
func (r Route) destination(d mail.Domain, hosts []host) tlspolicy.Destination {
	to := tlspolicy.Destination{Domain: d}
	if r.Via != "" {
		host, port := r.hop()
		if hop, err := tlspolicy.ParseNextHop("[" + host + "]:" + port); err == nil {
			to.NextHop = hop.NextHop
		}
		return to
	}
	for _, h := range hosts {
		to.MX = append(to.MX, mail.Domain(h.name))
	}
	return to
}

// secured applies the route's own level to a policy. An administrator's override is
// never undercut, and TLSA records that prove a server stay what proves it; a password
// needs TLS, and a server that has proved its name.
func (r Route) secured(p tlspolicy.Policy, at netip.Addr) tlspolicy.Policy {
	host, _ := r.hop()
	dane := p.Level == tlspolicy.DANE || p.Level == tlspolicy.DANEOnly
	if r.TLS != 0 && (p.Source == tlspolicy.FromDefault || r.TLS > p.Level && (!dane || r.TLS == tlspolicy.DANEOnly)) {
		p.Level, p.Source = r.TLS, tlspolicy.FromRoute
	}
	switch {
	case r.User == "" || at.IsLoopback():
	case !r.guarded(at):
		p.Level = max(p.Level, tlspolicy.Encrypt)
	case !dane:
		p.Level = max(p.Level, tlspolicy.Verify)
	}
	if p.Level == tlspolicy.Secure && len(p.MatchNames) == 0 {
		p.MatchNames = []string{host}
	}
	return p
}

// guarded reports whether a server must prove its name for the password's sake: the
// route itself doesn't say what is enough.
func (r Route) guarded(at netip.Addr) bool { return r.User != "" && r.TLS == 0 && !at.IsLoopback() }
