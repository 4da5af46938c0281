//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// authority signs certificates. Who is given its file trusts them.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(makeDir(t), "authority.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writeFile(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	return a
}

// sign makes a certificate that ends after so long. Its key is RSA, which software of
// any age can use.
func (a *authority) sign(t *testing.T, name string, lasts time.Duration) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, any(key)
	chain := [][]byte{nil}
	if a != nil {
		parent, signer = a.cert, a.key
		chain = append(chain, a.cert.Raw)
	}
	if chain[0], err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer); err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

// selfSigned is a certificate that nobody vouches for.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	return (*authority)(nil).sign(t, name, time.Hour)
}

// tlsa is the record of a certificate's key (RFC 7671, DANE-EE).
func tlsa(owner string, c tls.Certificate) string {
	return fmt.Sprintf("%s TLSA 3 1 1 %x", owner, sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo))
}

// peer is a receiver with a TLS of its own.
type peer struct {
	receiver
	config *tls.Config // nil: STARTTLS isn't offered
	// choking has it reset a connection whose ClientHello is longer than 512 bytes,
	// as some firewalls do.
	choking atomic.Bool
}

// startPeer starts one on port 25 of an address.
func startPeer(t *testing.T, at string, config *tls.Config) *peer {
	t.Helper()
	p := &peer{config: config}
	l, err := net.Listen("tcp", at+":25")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	server := smtp.NewServer(p)
	server.Domain = "peer.test"
	server.TLSConfig = config
	server.ErrorLog = log.New(io.Discard, "", 0) // that clients go away is part of the tests
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(chokingListener{l, p})
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return p
}

// count is how many messages have come for anybody.
func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.messages)
}

type chokingListener struct {
	net.Listener
	peer *peer
}

func (l chokingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &chokingConn{Conn: c, peer: l.peer}, nil
}

// chokingConn looks at the first record that is TLS.
type chokingConn struct {
	net.Conn
	peer *peer
	seen bool
}

const (
	recordHandshake = 22
	longestHello    = 512
)

func (c *chokingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.seen || n < 5 || b[0] != recordHandshake {
		return n, err
	}
	c.seen = true
	if c.peer.choking.Load() && int(b[3])<<8+int(b[4]) > longestHello {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}
