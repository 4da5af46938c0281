package tlsprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailgate/internal/tlspolicy"
)

// Prober probes servers. The zero value is ready for use.
type Prober struct {
	Hostname string                                                         // ours, for EHLO; empty: "localhost"
	Roots    *x509.CertPool                                                 // nil: the system's
	Timeout  time.Duration                                                  // of one connection, from connecting to its end; 0: 15 s
	Dial     func(ctx context.Context, to netip.AddrPort) (net.Conn, error) // nil: TCP
}

// Target is a server to be probed.
type Target struct {
	Name    string // of the MX host or next hop
	Address netip.AddrPort
	Policy  tlspolicy.Policy // for that host
}

// limits are what a handshake doesn't offer.
type limits struct {
	lowest, highest tlspolicy.Version
	classic         bool // no post-quantum key share
	old             bool // cipher suites that are out of date too, for TLS 1.2 and below
}

func (l limits) String() string {
	var words []string
	switch {
	case l.lowest != 0 && l.lowest == l.highest:
		words = append(words, "TLS "+l.lowest.String()+" only")
	case l.highest != 0:
		words = append(words, "at most TLS "+l.highest.String())
	}
	if l.classic {
		words = append(words, "no post-quantum key share")
	}
	if l.old && l.lowest == 0 {
		words = append(words, "old cipher suites too")
	}
	return cmp.Or(strings.Join(words, ", "), "everything")
}

// Host finds out what a server can do. What goes wrong is part of the result.
func (p Prober) Host(ctx context.Context, t Target) *Host {
	h := &Host{Name: t.Name, Address: t.Address.String(), Policy: t.Policy}
	first := p.attempt(ctx, t, p.config(t, limits{}), limits{})
	h.Greeting, h.StartTLS = first.greeting, first.startTLS
	switch {
	case errors.Is(first.err, errNoSTARTTLS):
		p.compare(h, t, nil)
		return h
	case first.err != nil:
		h.Error = first.err.Error()
		return h
	}
	h.Plain = &first.made
	// The second, as a server that limits connections may take no more of them.
	if c := t.Policy.TLSConfig(t.Name); c != nil {
		c.RootCAs = p.Roots
		h.ByPolicy = &p.attempt(ctx, t, c, limits{}).made
		h.ByPolicy.Offered = "as the policy says"
	}
	state := first.state
	for v := tlspolicy.TLS10; v <= tlspolicy.TLS13; v++ {
		only := limits{lowest: v, highest: v, old: v < tlspolicy.TLS13}
		a := p.attempt(ctx, t, p.config(t, only), only)
		h.Versions = append(h.Versions, a.made)
		state = cmp.Or(state, a.state)
	}
	if !h.Plain.OK() {
		state = cmp.Or(p.lesser(ctx, t, h), state)
	}
	p.look(h, t, state)
	p.compare(h, t, state)
	return h
}

// lesser offers less and less, until a handshake comes about.
func (p Prober) lesser(ctx context.Context, t Target, h *Host) *tls.ConnectionState {
	for _, less := range []limits{
		{classic: true},
		{highest: tlspolicy.TLS12},
		{highest: tlspolicy.TLS12, classic: true},
		{highest: tlspolicy.TLS12, classic: true, old: true},
	} {
		a := p.attempt(ctx, t, p.config(t, less), less)
		h.Lesser = append(h.Lesser, a.made)
		if a.state != nil {
			return a.state
		}
	}
	return nil
}

// config offers what limits leave, and takes any certificate.
func (p Prober) config(t Target, l limits) *tls.Config {
	policy := tlspolicy.Policy{
		Level: tlspolicy.Encrypt, MinVersion: l.lowest, MaxVersion: l.highest, ServerName: t.Policy.ServerName,
	}
	if l.classic {
		policy.Curves = tlspolicy.Classic
	}
	c := policy.TLSConfig(t.Name)
	if l.old {
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
	return c
}

// look judges the certificate by itself.
func (p Prober) look(h *Host, t Target, state *tls.ConnectionState) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return
	}
	chain := state.PeerCertificates
	h.Chain = viewChain(chain)
	options := x509.VerifyOptions{Roots: p.Roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	h.Trusted, h.Named = "yes", "yes"
	if _, err := chain[0].Verify(options); err != nil {
		h.Trusted = err.Error()
	}
	if err := chain[0].VerifyHostname(t.Name); err != nil {
		names := chain[0].DNSNames
		h.Named = "it is for " + cmp.Or(strings.Join(names[:min(len(names), maxNames)], ", "), "no name")
	}
}
