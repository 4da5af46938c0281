package tlsprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
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
	plain, state := p.handshake(ctx, t, h, p.config(t, limits{}), limits{})
	if h.Error != "" || !h.StartTLS {
		return h
	}
	h.Plain = plain
	for v := tlspolicy.TLS10; v <= tlspolicy.TLS13; v++ {
		only := limits{lowest: v, highest: v, old: v < tlspolicy.TLS13}
		made, s := p.handshake(ctx, t, h, p.config(t, only), only)
		h.Versions = append(h.Versions, *made)
		if state == nil {
			state = s
		}
	}
	if !plain.OK() {
		state = cmp.Or(p.lesser(ctx, t, h), state)
	}
	p.look(h, t, state)
	if c := t.Policy.TLSConfig(t.Name); c != nil {
		c.RootCAs = p.Roots
		h.ByPolicy, _ = p.handshake(ctx, t, h, c, limits{})
		h.ByPolicy.Offered = "as the policy says"
	}
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
		made, state := p.handshake(ctx, t, h, p.config(t, less), less)
		h.Lesser = append(h.Lesser, *made)
		if state != nil {
			return state
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

const (
	defaultTimeout  = 15 * time.Second
	submissionsPort = 465 // implicit TLS (RFC 8314)
)

// handshake makes a connection and TLS over it. state is nil where that failed.
func (p Prober) handshake(ctx context.Context, t Target, h *Host, config *tls.Config, l limits) (made *Handshake, state *tls.ConnectionState) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Timeout, defaultTimeout))
	defer cancel()
	made = &Handshake{Offered: l.String(), limits: l}
	conn, err := p.dial(ctx, t.Address)
	if err != nil {
		h.Error = fmt.Sprintf("connect: %v", err)
		return made, nil
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	tap := &wire{}
	secure := func(plain net.Conn) (*tls.Conn, error) {
		tap.Conn = plain
		c := tls.Client(tap, config)
		return c, c.HandshakeContext(ctx)
	}
	secured, err := p.converse(t, h, conn, secure)
	switch {
	case secured == nil:
		made.Error = h.Error
		return made, nil
	case err != nil:
		made.Error, made.Transcript = err.Error(), tap.transcript()
		return made, nil
	}
	s := secured.ConnectionState()
	made.Version, made.Cipher, made.Group = tlspolicy.Version(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID.String()
	if s.CurveID == 0 {
		made.Group = ""
	}
	return made, &s
}

// converse comes as far as the handshake: at once, or after STARTTLS. It returns
// nil where it didn't come to one, and why in h.
func (p Prober) converse(t Target, h *Host, conn net.Conn, secure func(net.Conn) (*tls.Conn, error)) (*tls.Conn, error) {
	if t.Address.Port() == submissionsPort {
		h.StartTLS = true
		return secure(conn)
	}
	heard := &overheard{Conn: conn}
	client, err := smtp.NewClient(heard, t.Name)
	if err != nil {
		h.Error = fmt.Sprintf("greeting: %v", err)
		return nil, err
	}
	h.Greeting = heard.line()
	if err := client.Hello(cmp.Or(p.Hostname, "localhost")); err != nil {
		h.Error = fmt.Sprintf("EHLO: %v", err)
		return nil, err
	}
	if h.StartTLS, _ = client.Extension("STARTTLS"); !h.StartTLS {
		_ = client.Quit()
		return nil, errors.New("STARTTLS isn't offered")
	}
	id, err := client.Text.Cmd("STARTTLS")
	if err == nil {
		client.Text.StartResponse(id)
		_, _, err = client.Text.ReadResponse(220)
		client.Text.EndResponse(id)
	}
	if err != nil {
		h.Error = fmt.Sprintf("STARTTLS: %v", err)
		return nil, err
	}
	if client.Text.R.Buffered() > 0 {
		h.Error = "the server goes on in the clear after STARTTLS: somebody may be injecting answers"
		return nil, errors.New(h.Error)
	}
	return secure(conn)
}

func (p Prober) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial(ctx, to)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}

// overheard keeps the first line that a server says.
type overheard struct {
	net.Conn
	first []byte
	done  bool
}

const maxGreeting = 512

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if !o.done {
		o.first = append(o.first, p[:n]...)
		o.done = slices.Contains(o.first, '\n') || len(o.first) > maxGreeting
	}
	return n, err
}

func (o *overheard) line() string {
	line, _, _ := strings.Cut(string(o.first[:min(len(o.first), maxGreeting)]), "\n")
	return strings.TrimSpace(line)
}
