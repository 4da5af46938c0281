package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mjl-/adns"
	"github.com/mjl-/mox/dane"
	moxdns "github.com/mjl-/mox/dns"

	"mailgate/internal/mail"
)

// ErrTLSA ends handshakes at the levels dane and dane-only where there are no TLSA
// records to check the certificate against.
var ErrTLSA = errors.New("certificate not checked against TLSA records: none are known")

// ErrTLSAMismatch ends handshakes with a certificate that fits none of the TLSA
// records.
var ErrTLSAMismatch = errors.New("certificate fits none of the TLSA records")

// ErrHost ends handshakes with a host that is none of Policy.Hosts.
var ErrHost = errors.New("host is not in the MTA-STS policy")

// classicCurves gives the groups every TLS 1.2 server of the last decade knows.
func classicCurves() []tls.CurveID {
	return []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

// TLSConfig returns a client configuration that enforces the policy towards the
// MX host serverName, and nil at level none. Below verify any certificate will
// do. The caller may set RootCAs in what it gets, the system's are used
// otherwise.
func (p Policy) TLSConfig(serverName string) *tls.Config {
	if p.Level == None {
		return nil
	}
	lowest, highest := p.Versions()
	c := &tls.Config{
		ServerName: serverName,
		MinVersion: uint16(lowest),
		MaxVersion: uint16(highest),
		// The names and the chain are checked below, by the policy's own rule.
		InsecureSkipVerify: true,
	}
	if p.ServerName != "" {
		c.ServerName = p.ServerName
	}
	if p.Curves == Classic {
		c.CurvePreferences = classicCurves()
	}
	c.CipherSuites, _ = cipherIDs(p.Ciphers)
	p.setVerifier(c, serverName)
	return c
}

func (p Policy) setVerifier(c *tls.Config, serverName string) {
	switch p.Level {
	case DANE, DANEOnly:
		c.VerifyConnection = func(s tls.ConnectionState) error { return p.verifyTLSA(s, serverName) }
	case Verify, Secure:
		names := p.certificateNames(serverName)
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if !p.Allows(mail.Domain(serverName)) {
				return fmt.Errorf("%s: %w", serverName, ErrHost)
			}
			return verify(s.PeerCertificates, names, c.RootCAs)
		}
	}
}

// certificateNames are the names of which the certificate must have one. For
// MTA-STS that is the MX host's own (RFC 8461, section 4.2), which Allows has
// compared with the policy; MatchNames are its patterns, for Postfix.
func (p Policy) certificateNames(serverName string) []string {
	if p.Origins.MatchNames == FromMTASTS || len(p.MatchNames) == 0 && p.Level == Verify {
		return []string{serverName}
	}
	return p.MatchNames
}

// verifyTLSA checks by RFC 7672, section 3: at DANE-EE the certificate alone, at
// DANE-TA the chain and the names.
func (p Policy) verifyTLSA(s tls.ConnectionState, serverName string) error {
	if len(p.TLSA) == 0 {
		return ErrTLSA
	}
	var records []adns.TLSA
	for _, r := range p.TLSA {
		records = append(records, adns.TLSA{Usage: adns.TLSAUsage(r.Usage), Selector: adns.TLSASelector(r.Selector),
			MatchType: adns.TLSAMatchType(r.MatchingType), CertAssoc: r.Data})
	}
	names := []moxdns.Domain{{ASCII: serverName}}
	if len(p.MatchNames) > 0 {
		names = nil
		for _, name := range p.MatchNames {
			names = append(names, moxdns.Domain{ASCII: name})
		}
	}
	ok, _, err := dane.Verify(slog.New(slog.DiscardHandler), records, s, names[0], names[1:], nil)
	switch {
	case ok:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTLSAMismatch, err)
	}
	return ErrTLSAMismatch
}

// Tested says how a session with an MX host would have failed an MTA-STS policy in
// testing mode; nil: it would not, or there is none. state is nil where there was no
// TLS; roots nil are the system's.
func (p Policy) Tested(host mail.Domain, state *tls.ConnectionState, roots *x509.CertPool) error {
	switch {
	case !p.Testing:
		return nil
	case !anyHost(p.TestHosts, host):
		return fmt.Errorf("%s: %w", host, ErrHost)
	case state == nil:
		return ErrNoTLS
	}
	return verify(state.PeerCertificates, []string{string(host)}, roots)
}

// ErrNoTLS is what Tested says of a session in the clear.
var ErrNoTLS = errors.New("the session was not secured by TLS")

// verify checks the chain and that the leaf has one of the names.
func verify(chain []*x509.Certificate, names []string, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("server sent no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("verifying the server's certificate: %w", err)
	}
	for _, name := range names {
		if hasName(leaf, name) {
			return nil
		}
	}
	return nameError(fmt.Sprintf("certificate is for %s, not for %s", strings.Join(leaf.DNSNames, ", "), strings.Join(names, " or ")))
}

// ErrName ends handshakes with a certificate that has none of the names wanted.
var ErrName = errors.New("certificate has another name")

// nameError is ErrName with the names.
type nameError string

func (e nameError) Error() string        { return string(e) }
func (e nameError) Is(target error) bool { return target == ErrName }

// hasName compares one name; ".example.net" stands for any sub-domain of
// example.net.
func hasName(leaf *x509.Certificate, name string) bool {
	if !strings.HasPrefix(name, ".") {
		return leaf.VerifyHostname(name) == nil
	}
	for _, san := range leaf.DNSNames {
		if len(san) > len(name) && strings.EqualFold(san[len(san)-len(name):], name) {
			return true
		}
	}
	return false
}
