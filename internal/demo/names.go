package demo

import (
	"errors"
	"fmt"

	"blitiri.com.ar/go/spf"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

// names is the demo's Internet as DNS sees it: a resolver, the name servers of two
// DNS providers, and the hosting panel's own server, which nobody outside asks.
type names struct {
	recursive *dnstest.Server // also serves the receivers' zones and the reverse zones
	ada, bob  *dnstest.Server // Cloudflare's
	hichina   *dnstest.Server // Aliyun's
	panel     *dnstest.Server
}

func startDNS() (*names, error) {
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
	if err != nil {
		return nil, fmt.Errorf("start the demo's DNS servers: %w", err)
	}
	n := &names{recursive: servers[0], ada: servers[1], bob: servers[2], hichina: servers[3], panel: servers[4]}
	if err := n.recursive.Recursive(n.ada, n.bob, n.hichina); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *names) port() int { return n.recursive.Port() }

// resolver is what the receivers ask: independent of mailgate's own view of DNS.
func (n *names) resolver() spf.DNSResolver { return n.recursive.Resolver() }

func (n *names) Close() error {
	var errs []error
	for _, s := range []*dnstest.Server{n.recursive, n.ada, n.bob, n.hichina, n.panel} {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// zone is one zone file on one server.
type zone struct {
	server *dnstest.Server
	origin string
	text   string
}

const cloudflareNS = `
@ NS ada.ns.cloudflare.com.
@ NS bob.ns.cloudflare.com.
`

// publishAll sets the scene: good.example publishes everything; panel.example's
// key is only in the panel; nospf.example lists only its IPv4 address and no key.
func (n *names) publishAll(k *keys) error {
	good := cloudflareNS + `
@ TXT "v=spf1 ip4:127.0.0.1 ip6:::1 -all"
_dmarc TXT "v=DMARC1; p=reject"
`
	panel := cloudflareNS + `
@ TXT "v=spf1 ip4:198.51.100.7 ~all"
_dmarc TXT "v=DMARC1; p=none"
`
	zones := []zone{
		{n.recursive, "ns.cloudflare.com", "ada A 127.0.0.2\nbob A 127.0.0.3\n"},
		{n.recursive, "hichina.com", "dns9 A 127.0.0.4\n"},
		{n.recursive, "gmail.test", "@ MX 10 mx.gmail.test.\nmx A 127.0.0.1\nmx AAAA ::1\n"},
		{n.recursive, "other.test", "@ MX 10 mx.other.test.\nmx A 127.0.0.1\nmx AAAA ::1\n"},
		{n.recursive, "bank.test", "@ MX 10 mx.bank.test.\nmx A 127.0.0.1\n"},
		{n.recursive, "demo.test", "mx1 A 127.0.0.1\nmx1 AAAA ::1\n"},
		{n.recursive, "127.in-addr.arpa", "1.0.0 PTR mx1.demo.test.\n"},
		{n.recursive, "ip6.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx1.demo.test.\n"},
		{n.ada, "good.example", good}, {n.bob, "good.example", good},
		{n.ada, "panel.example", panel}, {n.bob, "panel.example", panel},
		{n.hichina, "nospf.example", "@ NS dns9.hichina.com.\n@ TXT \"v=spf1 ip4:127.0.0.1 ~all\"\n"},
		{n.panel, "panel.example", "@ NS localhost.\n"},
	}
	for _, z := range zones {
		if err := z.server.SetZone(z.origin, z.text); err != nil {
			return fmt.Errorf("zone %s: %w", z.origin, err)
		}
	}
	return errors.Join(
		n.publishKey(k, goodDomain, n.ada, n.bob),
		n.publishKey(k, panelDomain, n.panel),
	)
}

func (n *names) publishKey(k *keys, d mail.Domain, servers ...*dnstest.Server) error {
	for _, s := range servers {
		if err := s.AddTXT(selector+"._domainkey."+string(d), k.record(d)); err != nil {
			return fmt.Errorf("publish the key of %s: %w", d, err)
		}
	}
	return nil
}

// publishSPF replaces the SPF record of nospf.example at its DNS provider.
func (n *names) publishSPF(value string) error {
	n.hichina.Remove(string(nospfDomain), "TXT")
	return n.hichina.AddTXT(string(nospfDomain), value)
}
