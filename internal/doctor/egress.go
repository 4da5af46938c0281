package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Routes are the addresses this machine sends from by its default routes; the zero
// Addr where there is no route.
type Routes struct{ V4, V6 netip.Addr }

// DefaultRoutes asks the kernel; no packet leaves.
func DefaultRoutes() Routes {
	return Routes{source("udp4", "192.0.2.1:53"), source("udp6", "[2001:db8::1]:53")}
}

func source(network, to string) netip.Addr {
	conn, err := net.Dial(network, to)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// Egress compares the configured egress addresses with the default routes.
func Egress(configured []netip.Addr, routes Routes) []Result {
	var results []Result
	if len(configured) == 0 {
		return []Result{{Area: "egress", Code: "egress-not-set", Status: Fail,
			Text: "egress is empty: neither SPF nor PTR can be checked" + seen(routes),
			Mend: []string{"In mailgate.toml: egress = [" + quoted(routes) + "]    (behind NAT: the addresses that the world sees)"}}}
	}
	for _, route := range []netip.Addr{routes.V4, routes.V6} {
		if r, odd := unlisted(configured, route); odd {
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		results = append(results, Result{Area: "egress", Code: "egress", Status: Pass, Text: join(configured) + seen(routes)})
	}
	return results
}

// unlisted is about a default route whose address isn't configured.
func unlisted(configured []netip.Addr, route netip.Addr) (Result, bool) {
	if !route.IsValid() || route.IsLoopback() || route.IsLinkLocalUnicast() || slices.Contains(configured, route) {
		return Result{}, false
	}
	family, same := "IPv4", func(a netip.Addr) bool { return a.Is4() == route.Is4() }
	if route.Is6() {
		family = "IPv6"
	}
	if route.IsPrivate() {
		if slices.ContainsFunc(configured, same) {
			return Result{}, false // NAT, and the public address is there
		}
		return Result{Area: "egress", Code: "egress-nat", Status: Warn,
			Text: fmt.Sprintf("this machine sends %s from %s, behind NAT, and egress has no %s address", family, route, family),
			Mend: []string{"Add the public address that the world sees to egress, in mailgate.toml."}}, true
	}
	return Result{Area: "egress", Code: "egress-default-route", Status: Warn,
		Text: fmt.Sprintf("this machine's default route for %s sends from %s, which egress doesn't have", family, route),
		Mend: []string{fmt.Sprintf("If mail leaves from it: add %q to egress in mailgate.toml, and see what SPF says: mailgate check DOMAIN", route)}}, true
}

func seen(routes Routes) string {
	var words []string
	for _, a := range []netip.Addr{routes.V4, routes.V6} {
		if a.IsValid() && !a.IsLoopback() {
			words = append(words, a.String())
		}
	}
	if len(words) == 0 {
		return "; there is no default route"
	}
	return "; by its default routes this machine sends from " + strings.Join(words, " and ")
}

func quoted(routes Routes) string {
	var words []string
	for _, a := range []netip.Addr{routes.V4, routes.V6} {
		if a.IsValid() && !a.IsLoopback() && !a.IsPrivate() {
			words = append(words, fmt.Sprintf("%q", a))
		}
	}
	if len(words) == 0 {
		return `"203.0.113.9"`
	}
	return strings.Join(words, ", ")
}

func join(list []netip.Addr) string {
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}
