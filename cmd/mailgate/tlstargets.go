package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
)

var errQuery = quarantine.ErrQuery

// maxProbedHosts bounds how many servers of a destination are looked at.
const maxProbedHosts = 8

// tlsHost is a server of a destination.
type tlsHost struct {
	name mail.Domain
	at   tlspolicy.Destination // with Host
	port uint16
}

// tlsHosts finds the servers of a destination, best first.
func tlsHosts(ctx context.Context, dns relay.Resolver, d tlspolicy.Destination, port uint16) ([]tlsHost, error) {
	if d.NextHop != "" {
		return nextHopHost(d, port)
	}
	records, _, err := dns.MX(ctx, d.Domain)
	if err != nil {
		return nil, fmt.Errorf("MX hosts of %s: %w", d.Domain, err)
	}
	if len(records) == 1 && records[0].Host == "" {
		return nil, fmt.Errorf("%s takes no mail: its MX record says so (RFC 7505)", d.Domain)
	}
	if len(records) == 0 {
		records = []relay.MX{{Host: d.Domain}}
	}
	slices.SortStableFunc(records, func(a, b relay.MX) int { return int(a.Preference) - int(b.Preference) })
	records = records[:min(len(records), maxProbedHosts)]
	for _, r := range records {
		d.MX = append(d.MX, r.Host)
	}
	var hosts []tlsHost
	for _, r := range records {
		at := d
		at.Host = r.Host
		hosts = append(hosts, tlsHost{r.Host, at, port})
	}
	return hosts, nil
}

func nextHopHost(d tlspolicy.Destination, port uint16) ([]tlsHost, error) {
	host, given, err := net.SplitHostPort(d.NextHop)
	if err != nil {
		host = d.NextHop
	} else if port, err = parsePort(given); err != nil {
		return nil, fmt.Errorf("next hop %s: %w", d.NextHop, err)
	}
	d.Host = mail.Domain(strings.Trim(host, "[]"))
	return []tlsHost{{d.Host, d, port}}, nil
}

func parsePort(s string) (uint16, error) {
	switch s { // the only services that take mail
	case "submission":
		return 587, nil
	case "submissions", "smtps":
		return 465, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("port %q is no number", s)
	}
	return uint16(n), nil
}

// targets are the addresses of a host to probe: one of each family.
func (h tlsHost) targets(ctx context.Context, dns relay.Resolver, policy tlspolicy.Policy) ([]tlsprobe.Target, error) {
	var addresses []netip.Addr
	if a, err := netip.ParseAddr(strings.TrimPrefix(string(h.name), "ipv6:")); err == nil {
		addresses = []netip.Addr{a}
	} else if addresses, _, err = dns.Addresses(ctx, h.name); len(addresses) == 0 {
		if err == nil {
			err = errors.New("it has no address")
		}
		return nil, fmt.Errorf("addresses of %s: %w", h.name, err)
	}
	var list []tlsprobe.Target
	for _, four := range []bool{true, false} {
		if i := slices.IndexFunc(addresses, func(a netip.Addr) bool { return a.Unmap().Is4() == four }); i >= 0 {
			list = append(list, tlsprobe.Target{Name: string(h.name), Address: netip.AddrPortFrom(addresses[i].Unmap(), h.port), Policy: policy})
		}
	}
	return list, nil
}
