package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Warnings lists what is allowed and yet is often not what was meant; one
// sentence each, beginning with the key.
func (c *Config) Warnings() []string { return c.warnings(time.Now()) }

func (c *Config) warnings(now time.Time) []string {
	var w warner
	c.warnGeneral(&w)
	c.warnEgress(&w)
	c.warnDNS(&w)
	c.warnTrusted(&w)
	c.warnRelay(&w)
	c.warnRelease(&w)
	c.warnHold(&w)
	c.warnDomains(&w)
	c.warnKeys(&w)
	c.warnReports(&w)
	for _, o := range c.TLS {
		w.add(o.Expired(now), "tls: the override for %s expired on %s and is not used; remove it",
			o.Destination, o.Expires.Format(time.DateOnly))
	}
	return w.list
}

type warner struct{ list []string }

func (w *warner) add(when bool, format string, args ...any) {
	if when {
		w.list = append(w.list, fmt.Sprintf(format, args...))
	}
}

func (c *Config) warnGeneral(w *warner) {
	w.add(c.Mode == Observe, "mode: observe: mail is signed and counted, and nothing is held")
	w.add(!strings.Contains(string(c.Hostname), "."),
		"hostname: %s is a single label; receivers expect a full name with an address and a PTR record", c.Hostname)
	w.add(len(c.doors()) == 0, "no door is open: none of the sections [milter], [relay], [socketmap] and [web] is there")
	w.add(c.Policy.Refused == ActionPass, `policy.refused: "pass" lets mail go that its receiver is predicted to refuse`)
	w.add(!c.Web.Listen.IsZero() && !isLoopback(c.Web.Listen),
		"web.listen: %s can be reached from other machines; put a proxy with TLS before it", c.Web.Listen)
}

func (c *Config) warnEgress(w *warner) {
	w.add(len(c.Egress) == 0, "egress: empty: SPF and PTR cannot be checked; list every public address that mail leaves from")
	for _, a := range c.Egress {
		w.add(a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast(),
			"egress: receivers never see %s; list the public address that NAT gives", a)
	}
}

// warnDNS is about resolvers whose word is taken for what DNSSEC vouches for.
func (c *Config) warnDNS(w *warner) {
	if !c.DNS.Validating {
		return
	}
	w.add(len(c.DNS.Resolvers) == 0, "dns.validating: the system's resolvers may be anybody's; name one on this machine in dns.resolvers")
	for _, r := range c.DNS.Resolvers {
		host, _, _ := net.SplitHostPort(r)
		w.add(!addrOf(host).IsLoopback(), "dns.validating: on the way from %s answers can be changed, DANE's too; ask a resolver on this machine", r)
	}
}

func (c *Config) warnTrusted(w *warner) {
	for _, p := range c.Milter.Trusted {
		w.add(p.Bits() == 0 && !c.Milter.Listen.IsZero(), "milter.trusted: %s lets the whole Internet have mail signed", p)
	}
}

func (c *Config) warnRelease(w *warner) {
	for _, d := range c.doors() {
		own := c.Release.Via != ReleaseViaRelay && reaches(c.Release.Via, d.listen)
		switch {
		case own && strings.HasPrefix(d.section, "relay"):
			w.add(true, `release.via: %s is our own relay; write "relay"`, c.Release.Via)
		case own:
			w.add(true, "release.via: %s is our own %s door, which takes no mail; want the MTA's SMTP port", c.Release.Via, d.section)
		}
	}
}

func (c *Config) warnDomains(w *warner) {
	w.add(len(c.Domains) == 0, "domain: none: nothing is signed")
	for _, d := range c.Domains {
		w.add(d.SignAs != "" && !d.Name.IsUnder(d.SignAs),
			"domain %s: sign_as %s is not above it, so the signature may not count for DMARC", d.Pattern, d.SignAs)
	}
}

// warnReports is about mailgate's own reports, which are from its hostname.
func (c *Config) warnReports(w *warner) {
	signed := slices.ContainsFunc(c.Domains, func(d Domain) bool {
		return c.Hostname.IsUnder(d.Name) && !(d.Wildcard && c.Hostname == d.Name)
	})
	writes := len(c.Relay.Listeners) > 0 || !c.Milter.Listen.IsZero()
	w.add(writes && len(c.Domains) > 0 && !signed && strings.Contains(string(c.Hostname), "."),
		"hostname: reports from MAILER-DAEMON@%s are not signed, as neither it nor a domain above it has a [[domain]] with a key", c.Hostname)
}

// reaches reports whether connecting to "host:port" ends at l.
func reaches(hostPort string, l Listen) bool {
	if l.Network == "unix" {
		return false
	}
	host, port, _ := net.SplitHostPort(hostPort)
	ownHost, ownPort, _ := net.SplitHostPort(l.Address)
	if port != ownPort {
		return false
	}
	to, own := addrOf(host), addrOf(ownHost)
	if !to.IsValid() || !own.IsValid() {
		return host == ownHost
	}
	return to == own || own.IsUnspecified() && to.IsLoopback()
}

func isLoopback(l Listen) bool {
	host, _, _ := net.SplitHostPort(l.Address)
	return l.Network == "unix" || addrOf(host).IsLoopback()
}

// addrOf gives the address of a literal or of "localhost".
func addrOf(host string) netip.Addr {
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}
