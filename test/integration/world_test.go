//go:build integration

package integration

import (
	"path/filepath"
	"testing"
)

// world is everything a test of the main job needs: client → Postfix ⇄ mailgate,
// Postfix → receiver, and DNS for all of them.
type world struct {
	dns      *internet
	gate     *gateway
	postfix  *postfix
	receiver *receiver
	domains  map[string]domain
}

// plan says what is special in one test's world.
type plan struct {
	ours    []string                              // domains with keys here
	publish func(d domain) []string               // records of such a domain's zone; nil: everything as it should be
	panel   func(d domain) []string               // what the panel's own server has; nil: nothing
	mode    string                                // "" for the default, enforce
	egress  []string                              // nil: one IPv4 address
	extra   string                                // more configuration
	via     string                                // "" for the Postfix that has the milter
	milter  func(t *testing.T, g *gateway) string // another address for Postfix to reach the milter at
}

// spf allows the gateway's IPv4 address.
var spf = txt("@", "v=spf1 ip4:203.0.113.9 -all")

// complete is a zone with all that a sender should publish.
func complete(d domain) []string {
	return append(d.records(), spf, txt("_dmarc", "v=DMARC1; p=none"), "@ MX 10 mx1.gate.test.")
}

// unauthenticated is a zone with neither keys nor SPF.
func unauthenticated(domain) []string { return []string{"@ MX 10 mx1.gate.test."} }

func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	dir := makeDir(t)
	w := &world{domains: map[string]domain{}, receiver: startReceiver(t)}
	zones, panel := hostZones(), map[string][]string{}
	if p.publish == nil {
		p.publish = complete
	}
	s := settings{mode: p.mode, egress: p.egress, extra: p.extra, via: p.via}
	if s.via == "" {
		s.via = address(0, 10) + ":25"
	}
	if s.egress == nil {
		s.egress = egress
	}
	for _, name := range p.ours {
		d := makeDomain(t, filepath.Join(dir, "gate"), name)
		w.domains[name], s.domains = d, append(s.domains, d)
		zones[name] = p.publish(d)
		if p.panel != nil {
			panel[name] = p.panel(d)
		}
	}
	w.dns = startInternet(t, filepath.Join(dir, "dns"), zones, panel)
	s.in = w.dns
	w.gate = configure(t, filepath.Join(dir, "gate"), s)
	w.gate.serve(t)
	milter := w.gate.milter
	if p.milter != nil {
		milter = p.milter(t, w.gate)
	}
	w.postfix = startPostfix(t, filepath.Join(dir, "postfix"), "inet:"+milter, w.receiver.address)
	return w
}

// hostZones are the zones of receivers, of the gateway itself, and of its addresses.
func hostZones() map[string][]string {
	return map[string][]string{
		"gmail.com":                {"@ MX 5 gmail-smtp-in.l.google.com."},
		"google.com":               {"gmail-smtp-in.l A " + address(0, 25)},
		"other.test":               {"@ MX 5 mx.other.test.", "mx A " + address(0, 25)},
		"gate.test":                {"mx1 A 203.0.113.9", "mx1 AAAA 2001:db8::9", txt("mx1", "v=spf1 a -all")},
		"stranger.test":            {"@ MX 5 mx.other.test."},
		"113.0.203.in-addr.arpa":   {"9 PTR mx1.gate.test."},
		"8.b.d.0.1.0.0.2.ip6.arpa": {"9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx1.gate.test."},
	}
}

// submit sends one message from a trusted client, which must be taken.
func (w *world) submit(t *testing.T, from string, to []string, message []byte) {
	t.Helper()
	c := connect(t, w.postfix.address, "")
	if err := send(c, from, to, message); err != nil {
		t.Fatalf("submission from %s refused: %v", from, err)
	}
	if err := c.Quit(); err != nil {
		t.Fatalf("QUIT: %v", err)
	}
}

// wantSigned checks a message signed by all keys of one of our domains.
func (w *world) wantSigned(t *testing.T, domain string, m receipt, submitted []byte) {
	t.Helper()
	wantSigned(t, w.dns.resolver, domain, m, submitted, w.domains[domain].selectors()...)
}
