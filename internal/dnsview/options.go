package dnsview

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Options configures a Resolver; the zero value asks the system's resolvers and
// each domain's own name servers.
type Options struct {
	Resolvers       []string      // IP address, or address and port; empty: those of /etc/resolv.conf
	NoAuthoritative bool          // never ask name servers directly
	Panel           string        // host:port or host of the panel's name server, empty: none
	At              string        // IP address, or address and port, of the one server that is asked everything; empty: none
	AuthorityPort   int           // port of authoritative servers; 0: 53 (the demo and tests differ)
	Timeout         time.Duration // for one query to one server; 0: 3/10 of LookupTime
	LookupTime      time.Duration // that a caller waits for an answer; 0: 5 s
	Retries         int           // more tries over UDP after a time-out; 0: 1, negative: none
	MinTTL, MaxTTL  time.Duration // bounds of a positive answer's lifetime; 0: 30 s and 1 h
	NegativeTTL     time.Duration // longest lifetime of bad news; 0: 30 s
	UnknownTTL      time.Duration // lifetime of "unknown", and the shortest of all; 0: 5 s
	MaxEntries      int           // answers kept; 0: 100,000
	Logger          *slog.Logger  // nil: none
	Now             func() time.Time
	Dial            func(ctx context.Context, network, address string) (net.Conn, error) // nil: that of a net.Dialer
}

// complete fills in the defaults and reads the addresses.
func (o Options) complete() (Options, error) {
	if err := o.check(); err != nil {
		return o, err
	}
	o.AuthorityPort = cmp.Or(o.AuthorityPort, 53)
	o.LookupTime = cmp.Or(o.LookupTime, 5*time.Second)
	o.Timeout = cmp.Or(o.Timeout, o.LookupTime*3/10)
	o.Retries = max(0, cmp.Or(o.Retries, 1))
	o.MinTTL = cmp.Or(o.MinTTL, 30*time.Second)
	o.MaxTTL = max(o.MinTTL, cmp.Or(o.MaxTTL, time.Hour))
	o.NegativeTTL = cmp.Or(o.NegativeTTL, 30*time.Second)
	o.UnknownTTL = cmp.Or(o.UnknownTTL, 5*time.Second)
	o.MaxEntries = cmp.Or(o.MaxEntries, 100_000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.At != "" {
		o.Resolvers, o.Panel = []string{o.At}, ""
	}
	if len(o.Resolvers) == 0 {
		o.Resolvers = systemResolvers("/etc/resolv.conf")
		return o, nil
	}
	var err error
	o.Resolvers, err = resolverAddresses(o.Resolvers)
	return o, err
}

// flightTime is what a look-up takes, so that it can still tell what failed.
func (o Options) flightTime() time.Duration { return o.LookupTime * 95 / 100 }

// authorityTime of that may go to name servers, before the recursive view is tried.
func (o Options) authorityTime() time.Duration { return o.LookupTime * 70 / 100 }

func (o Options) check() error {
	if o.AuthorityPort < 0 || o.AuthorityPort > 65535 {
		return fmt.Errorf("port %d of name servers is impossible", o.AuthorityPort)
	}
	for _, d := range []time.Duration{o.Timeout, o.LookupTime, o.MinTTL, o.MaxTTL, o.NegativeTTL, o.UnknownTTL} {
		if d < 0 {
			return fmt.Errorf("negative duration %s", d)
		}
	}
	if o.MaxEntries < 0 {
		return fmt.Errorf("negative number of entries %d", o.MaxEntries)
	}
	return nil
}

// resolverAddresses takes addresses only: a resolver's name can't be looked up
// before there is a resolver.
func resolverAddresses(list []string) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, s := range list {
		host, port, err := splitServer(s)
		if err != nil {
			return nil, err
		}
		if !isAddress(host) {
			return nil, fmt.Errorf("resolver %q: not an IP address", s)
		}
		out = append(out, net.JoinHostPort(host, port))
	}
	return out, nil
}

// splitServer reads "host", "host:port", "::1" and "[::1]:53".
func splitServer(s string) (host, port string, err error) {
	if bare := strings.Trim(s, "[]"); isAddress(bare) {
		return bare, "53", nil
	}
	host, port, err = net.SplitHostPort(s)
	if err != nil {
		host, port = s, "53"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("DNS server %q: bad port %q", s, port)
	}
	if _, problem := parseName(host); problem != "" {
		return "", "", fmt.Errorf("DNS server %q: %s", s, problem)
	}
	return host, port, nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// systemResolvers reads a resolv.conf; without one, it is the local host.
func systemResolvers(path string) []string {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil || len(conf.Servers) == 0 {
		return []string{"127.0.0.1:53"}
	}
	var out []string
	for _, s := range conf.Servers {
		out = append(out, net.JoinHostPort(s, conf.Port))
	}
	return out
}
