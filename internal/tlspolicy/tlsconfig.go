package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// ErrTLSA ends handshakes at the levels dane and dane-only, which only TLSA
// records can satisfy.
var ErrTLSA = errors.New("certificate not checked against TLSA records")

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
	p.setVerifier(c, serverName)
	return c
}

func (p Policy) setVerifier(c *tls.Config, serverName string) {
	switch p.Level {
	case DANE, DANEOnly:
		c.VerifyConnection = func(tls.ConnectionState) error { return ErrTLSA }
	case Verify, Secure:
		names := p.MatchNames
		if len(names) == 0 && p.Level == Verify {
			names = []string{serverName}
		}
		c.VerifyConnection = func(s tls.ConnectionState) error {
			return verify(s.PeerCertificates, names, c.RootCAs)
		}
	}
}

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
	return fmt.Errorf("certificate is for %s, not for %s", strings.Join(leaf.DNSNames, ", "), strings.Join(names, " or "))
}

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
