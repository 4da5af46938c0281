//go:build integration

package socketmap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/tlspolicy"
)

// unsettled is a next hop of which nothing can be told.
type unsettled struct {
	fakePolicies
	nextHop string
}

func (u unsettled) Lookup(ctx context.Context, d tlspolicy.Destination) (tlspolicy.Policy, error) {
	if d.NextHop == u.nextHop {
		return tlspolicy.Policy{}, fmt.Errorf("the name servers are silent: %w", tlspolicy.ErrUnsettled)
	}
	return u.fakePolicies.Lookup(ctx, d)
}

// delivery is how Postfix delivers to NAME.test.
type delivery struct {
	name   string
	policy tlspolicy.Policy
	status string // of the delivery
	log    string // about the connection
	port   string // of the receiver
}

func deliveries() []delivery {
	sts := func(names ...string) tlspolicy.Policy {
		return tlspolicy.Policy{Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS, MatchNames: names}
	}
	return []delivery{
		{name: "default", policy: tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault}, status: "status=sent", log: "Trusted TLS connection established"},
		{name: "verified", policy: sts("mx.sts.example"), status: "status=sent", log: "Verified TLS connection established"},
		{name: "under", policy: sts(".sts.example"), status: "status=sent", log: "Verified TLS connection established"},
		{name: "wrong", policy: sts("mx.example.net"), status: "status=deferred (Server certificate not verified)"},
		{name: "old", policy: tlspolicy.Policy{Level: tlspolicy.Encrypt, Source: tlspolicy.FromOverride, MaxVersion: tlspolicy.TLS12}, status: "status=sent", log: "TLSv1.2 with cipher"},
		{name: "none", policy: tlspolicy.Policy{Level: tlspolicy.None, Source: tlspolicy.FromOverride}, status: "status=sent"},
		{name: "unsettled", status: "status=deferred (client TLS configuration problem)", log: "temporary error: the name servers are silent"},
	}
}

// TestDelivery: a real Postfix secures each delivery as it is told.
func TestDelivery(t *testing.T) {
	cert, authority := certificate(t, "mx.sts.example")
	all, policies := deliveries(), unsettled{fakePolicies: fakePolicies{}}
	var transports strings.Builder
	for i := range all {
		d := &all[i]
		d.port = receive(t, cert)
		nextHop := "[127.0.0.1]:" + d.port
		fmt.Fprintf(&transports, "{ %s.test = smtp:%s } ", d.name, nextHop)
		policies.fakePolicies[nextHop] = d.policy
		if d.name == "unsettled" {
			policies.nextHop = nextHop
		}
	}
	p := startPostfix(t, fmt.Sprintf(`transport_maps = inline:{ %s}
smtp_tls_policy_maps = %s
smtp_tls_security_level = may
smtp_tls_CAfile = %s
smtp_tls_loglevel = 1
smtpd_recipient_restrictions = permit_mynetworks, reject
`, &transports, openDoorTo(t, "tcp", "127.0.0.1:0", policies).mapAt("mailgate"), authority))
	for _, d := range all {
		d.submit(t, p)
	}
	for _, d := range all {
		eventually(t, "a delivery "+d.to(), func() bool { return strings.Contains(p.lines(), d.to()) })
		d.check(t, p.lines())
	}
}

func (d delivery) to() string { return "to=<bob@" + d.name + ".test>" }

func (d delivery) submit(t *testing.T, p postfix) {
	t.Helper()
	say := dialogue(t, p.address)
	say("HELO client.example", "250 ")
	say("MAIL FROM:<ann@example.net>", "250 ")
	say("RCPT TO:<bob@"+d.name+".test>", "250 ")
	say("DATA", "354 ")
	say("Subject: x\r\n\r\nx\r\n.", "250 ")
	say("QUIT", "221 ")
}

// check looks for what Postfix logged of the delivery and its connection.
func (d delivery) check(t *testing.T, log string) {
	t.Helper()
	var about strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, d.to()) || strings.Contains(line, "127.0.0.1]:"+d.port) || strings.Contains(line, "socketmap server") {
			about.WriteString(line)
		}
	}
	text := about.String()
	if !strings.Contains(text, d.status) || !strings.Contains(text, d.log) {
		t.Errorf("%s: want %q and %q in\n%s", d.name, d.status, d.log, text)
	}
	if d.name == "none" && strings.Contains(text, "TLS connection") {
		t.Errorf("none: TLS is used\n%s", text)
	}
}

// receive takes any mail, with STARTTLS, until the test ends. It returns its port.
func receive(t *testing.T, cert tls.Certificate) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return sink{}, nil }))
	s.Domain = "mx.sts.example"
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	go s.Serve(ln)
	t.Cleanup(func() { s.Close() })
	_, port, err = net.SplitHostPort(ln.Addr().String())
	must(t, err)
	return port
}

type sink struct{}

func (sink) Reset()                               {}
func (sink) Logout() error                        { return nil }
func (sink) Mail(string, *smtp.MailOptions) error { return nil }
func (sink) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (sink) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// certificate makes a certificate for a name, and the file of who signed it.
func certificate(t *testing.T, name string) (cert tls.Certificate, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	must(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, key)
	must(t, err)
	authority = filepath.Join(t.TempDir(), "authority.pem")
	must(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o644))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}
