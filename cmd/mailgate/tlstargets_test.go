package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/relay"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
)

// tlsDNS is a relay.Resolver.
type tlsDNS struct {
	mx        map[mail.Domain][]relay.MX
	addresses map[mail.Domain]string
	fault     error
}

func (d tlsDNS) MX(_ context.Context, domain mail.Domain) ([]relay.MX, bool, error) {
	return d.mx[domain], false, d.fault
}

func (d tlsDNS) Addresses(_ context.Context, host mail.Domain) (list []netip.Addr, _ bool, _ error) {
	for _, s := range strings.Fields(d.addresses[host]) {
		list = append(list, netip.MustParseAddr(s))
	}
	return list, false, d.fault
}

func worldOfTLS() tlsDNS {
	many := make([]relay.MX, 12)
	for i := range many {
		many[i] = relay.MX{Host: mail.Domain(fmt.Sprintf("mx%d.many.example", i)), Preference: uint16(12 - i)}
	}
	return tlsDNS{
		mx: map[mail.Domain][]relay.MX{
			"two.example":    {{Host: "mx2.two.example", Preference: 20}, {Host: "mx1.two.example", Preference: 10}},
			"nomail.example": {{Host: "", Preference: 0}},
			"many.example":   many,
		},
		addresses: map[mail.Domain]string{
			"mx1.two.example": "2001:db8::1 192.0.2.1 192.0.2.2", "mx2.two.example": "2001:db8::2", "direct.example": "192.0.2.9",
			"smtp.example": "192.0.2.5",
		},
	}
}

func TestTLSHosts(t *testing.T) {
	for destination, want := range map[string]string{
		"two.example":                   "mx1.two.example@[192.0.2.1:25 [2001:db8::1]:25] mx2.two.example@[[2001:db8::2]:25]",
		"direct.example":                "direct.example@[192.0.2.9:25]",
		"[smtp.example]":                "smtp.example@[192.0.2.5:25]",
		"[smtp.example]:587":            "smtp.example@[192.0.2.5:587]",
		"[smtp.example]:submission":     "smtp.example@[192.0.2.5:587]",
		"[smtp.example]:submissions":    "smtp.example@[192.0.2.5:465]",
		"[192.0.2.7]:2525":              "192.0.2.7@[192.0.2.7:2525]",
		"[ipv6:2001:db8::7]":            "ipv6:2001:db8::7@[[2001:db8::7]:25]",
		"[ipv6:2001:db8::7]:465":        "ipv6:2001:db8::7@[[2001:db8::7]:465]",
		"nobody.example":                "addresses of nobody.example: it has no address",
		"nomail.example":                "nomail.example takes no mail",
		"[smtp.example]:something-else": "next hop [smtp.example]:something-else: port \"something-else\" is no number",
	} {
		if got := tlsTargets(t, worldOfTLS(), destination); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", destination, got, want)
		}
	}
	faulty := worldOfTLS()
	faulty.fault = errors.New("SERVFAIL")
	for _, destination := range []string{"two.example", "[nobody.example]"} {
		if got := tlsTargets(t, faulty, destination); !strings.Contains(got, "SERVFAIL") {
			t.Errorf("%s: %s, want SERVFAIL", destination, got)
		}
	}
}

// tlsTargets are the hosts of a destination with the addresses to probe.
func tlsTargets(t *testing.T, dns tlsDNS, destination string) string {
	t.Helper()
	d, err := tlspolicy.ParseNextHop(destination)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := tlsHosts(t.Context(), dns, d, 25)
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, h := range hosts {
		targets, err := h.targets(t.Context(), dns, tlspolicy.Policy{})
		if err != nil {
			return err.Error()
		}
		var at []string
		for _, target := range targets {
			at = append(at, target.Address.String())
		}
		words = append(words, fmt.Sprintf("%s@%v", h.name, at))
	}
	return strings.Join(words, " ")
}

// No more than the best eight hosts are looked at; each knows of all of these, for
// overrides by MX host.
func TestTLSHostsBounded(t *testing.T) {
	hosts, err := tlsHosts(t.Context(), worldOfTLS(), tlspolicy.Destination{Domain: "many.example"}, 25)
	if err != nil || len(hosts) != maxProbedHosts || hosts[0].name != "mx11.many.example" {
		t.Fatalf("%d hosts, %v", len(hosts), err)
	}
	for _, h := range hosts {
		if h.at.Host != h.name || len(h.at.MX) != maxProbedHosts {
			t.Errorf("%s: %+v", h.name, h.at)
		}
	}
}

// Where no server could be talked to, nothing is known: 2, not 1.
func TestProbeCode(t *testing.T) {
	silent, talks := &tlsprobe.Host{Error: "connect: refused"}, &tlsprobe.Host{}
	limited := &tlsprobe.Host{StartTLS: true, ByPolicy: &tlsprobe.Handshake{Unreached: true, Error: "greeting: 421 too many"}}
	for name, c := range map[string]struct {
		probed probed
		want   int
	}{
		"works":     {probed{Works: true, Hosts: []*tlsprobe.Host{silent, talks}}, exitPass},
		"fails":     {probed{Hosts: []*tlsprobe.Host{silent, talks}}, exitFail},
		"not known": {probed{Hosts: []*tlsprobe.Host{silent}}, exitUnknown},
		"limited":   {probed{Hosts: []*tlsprobe.Host{silent, limited}}, exitUnknown},
		"no host":   {probed{}, exitUnknown},
	} {
		code := exitPass
		if err := probeCode(c.probed); err != nil {
			code = exitCode(err)
		}
		if code != c.want {
			t.Errorf("%s: exit %d, want %d", name, code, c.want)
		}
	}
}

// A connection that the server didn't take tells nothing of a version.
func TestVersionWords(t *testing.T) {
	yes := tlsprobe.Handshake{Version: tlspolicy.TLS12}
	no, unknown := tlsprobe.Handshake{Error: "alert"}, tlsprobe.Handshake{Error: "greeting: 421 too many", Unreached: true}
	for want, versions := range map[string][]tlsprobe.Handshake{
		"1.2 (not 1.0, 1.1, 1.3)":                   {no, no, yes, no},
		"1.2 (not 1.0, 1.1); not known: 1.3":        {no, no, yes, unknown},
		"none (not 1.0, 1.1, 1.2, 1.3)":             {no, no, no, no},
		"none found; not known: 1.0, 1.1, 1.2, 1.3": {unknown, unknown, unknown, unknown},
	} {
		if got := versionWords(versions); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
