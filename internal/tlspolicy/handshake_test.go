package tlspolicy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"
)

// oldGateway is a TLS server that resets connections whose ClientHello it does
// not like.
type oldGateway struct {
	cert     tls.Certificate
	maxHello int  // longest ClientHello record, in bytes; 0: any
	no13     bool // resets when TLS 1.3 is offered, instead of negotiating
}

func (g oldGateway) serve(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.handle(conn.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

func (g oldGateway) handle(conn *net.TCPConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(anyTime))
	head := make([]byte, 5)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	if g.maxHello > 0 && int(head[3])<<8+int(head[4]) > g.maxHello {
		conn.SetLinger(0)
		return
	}
	c := &tls.Config{Certificates: []tls.Certificate{g.cert}, MinVersion: tls.VersionTLS10}
	if g.no13 {
		c.MaxVersion = tls.VersionTLS12
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
				conn.SetLinger(0)
				conn.Close()
			}
			return nil, nil
		}
	}
	s := tls.Server(replayed{conn, io.MultiReader(bytes.NewReader(head), conn)}, c)
	if s.Handshake() == nil {
		io.Copy(s, s)
	}
}

// replayed gives back the bytes that were read to look at them.
type replayed struct {
	net.Conn
	r io.Reader
}

func (r replayed) Read(p []byte) (int, error) { return r.r.Read(p) }

// exchange makes a connection under the policy and sends a word to and fro.
func exchange(t *testing.T, addr string, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(anyTime))
	client := tls.Client(conn, c)
	if err := client.HandshakeContext(t.Context()); err != nil {
		return tls.ConnectionState{}, err
	}
	word := []byte("EHLO")
	if _, err := client.Write(word); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = io.ReadFull(client, word)
	return client.ConnectionState(), err
}

func TestOverrideMendsHandshake(t *testing.T) {
	cert, _ := certificate(t, "mx.example.net")
	for _, c := range []struct {
		name    string
		gateway oldGateway
		mend    Override
	}{
		{"resets at TLS 1.3", oldGateway{cert: cert, no13: true}, Override{Level: Encrypt, MaxVersion: TLS12}},
		{"resets at a long ClientHello", oldGateway{cert: cert, maxHello: 512}, Override{Level: Encrypt, Curves: Classic}},
		{"both", oldGateway{cert: cert, no13: true, maxHello: 512}, Override{Level: Encrypt, MaxVersion: TLS12, Curves: Classic}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := c.gateway.serve(t)
			to := Destination{Domain: "example.net"}

			plain := lookup(t, newTable(t, time.Now()), to)
			if state, err := exchange(t, addr, plain.TLSConfig("mx.example.net")); err == nil {
				t.Fatalf("without the override it works: %s", tls.VersionName(state.Version))
			}
			c.mend.Destination = "example.net"
			mended := lookup(t, newTable(t, time.Now(), c.mend), to)
			state, err := exchange(t, addr, mended.TLSConfig("mx.example.net"))
			if err != nil {
				t.Fatalf("with the override: %v", err)
			}
			if c.mend.MaxVersion != 0 && state.Version > uint16(c.mend.MaxVersion) {
				t.Errorf("negotiated %s", tls.VersionName(state.Version))
			}
		})
	}
}

func TestVersionsInHandshake(t *testing.T) {
	cert, _ := certificate(t, "mx.example.net")
	addr := oldGateway{cert: cert}.serve(t)
	for _, c := range []struct {
		policy Policy
		want   uint16
	}{
		{Policy{Level: May}, tls.VersionTLS13},
		{Policy{Level: May, MaxVersion: TLS12}, tls.VersionTLS12},
		{Policy{Level: May, MaxVersion: TLS11}, tls.VersionTLS11},
		{Policy{Level: May, MinVersion: TLS13}, tls.VersionTLS13},
	} {
		state, err := exchange(t, addr, c.policy.TLSConfig("mx.example.net"))
		if err != nil || state.Version != c.want {
			t.Errorf("%+v: %s, %v", c.policy, tls.VersionName(state.Version), err)
		}
	}
	old := oldGateway{cert: cert, no13: true}.serve(t)
	if _, err := exchange(t, old, Policy{Level: May, MinVersion: TLS13}.TLSConfig("")); err == nil {
		t.Error("fell below the lowest version")
	}
}

func TestCiphersInHandshake(t *testing.T) {
	cert, _ := certificate(t, "mx1.example.net")
	server := oldGateway{cert: cert, no13: true}.serve(t)
	for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA} {
		p := Policy{Level: Encrypt, MaxVersion: TLS12, Ciphers: []string{tls.CipherSuiteName(suite)}}
		state, err := exchange(t, server, p.TLSConfig("mx1.example.net"))
		if err != nil || state.CipherSuite != suite {
			t.Errorf("%s: %s, %v", p, tls.CipherSuiteName(state.CipherSuite), err)
		}
	}
	p := Policy{Level: Encrypt, MaxVersion: TLS12, Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}}
	if _, err := exchange(t, server, p.TLSConfig("mx1.example.net")); err == nil {
		t.Error("a suite was used that isn't in the list")
	}
}

func TestCertificateNames(t *testing.T) {
	mx, roots := certificate(t, "mx1.example.net")
	wild, wildRoots := certificate(t, "*.example.net")
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		roots  *x509.CertPool
		policy Policy
		ok     bool
	}{
		{"encrypt: any certificate", mx, nil, Policy{Level: Encrypt}, true},
		{"verify", mx, roots, Policy{Level: Verify}, true},
		{"verify: unknown issuer", mx, nil, Policy{Level: Verify}, false},
		{"verify: other issuer", mx, wildRoots, Policy{Level: Verify}, false},
		{"verify: other name", mx, roots, Policy{Level: Verify, MatchNames: []string{"mx2.example.net"}}, false},
		{"secure: the host isn't the destination", mx, roots, Policy{Level: Secure, MatchNames: []string{"example.org", ".example.org"}}, false},
		{"secure: under the destination", mx, roots, Policy{Level: Secure, MatchNames: []string{"example.net", ".example.net"}}, true},
		{"secure: by letters only", mx, roots, Policy{Level: Secure, MatchNames: []string{".ample.net"}}, false},
		{"secure: name longer than the certificate's", mx, roots, Policy{Level: Secure, MatchNames: []string{".long.sub.domain.mx1.example.net"}}, false},
		{"secure: wildcard certificate", wild, wildRoots, Policy{Level: Secure, MatchNames: []string{".example.net"}}, true},
		{"secure: no names is no match", mx, roots, Policy{Level: Secure}, false},
		{"dane: without TLSA records", mx, roots, Policy{Level: DANE}, false},
		{"dane-only: without TLSA records", mx, roots, Policy{Level: DANEOnly}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := oldGateway{cert: c.cert}.serve(t)
			config := c.policy.TLSConfig("mx1.example.net")
			config.RootCAs = c.roots
			_, err := exchange(t, addr, config)
			if (err == nil) != c.ok {
				t.Errorf("handshake: %v", err)
			}
			if dane := c.policy.Level == DANE || c.policy.Level == DANEOnly; dane && !errors.Is(err, ErrTLSA) {
				t.Errorf("handshake: %v, want ErrTLSA", err)
			}
		})
	}
	if (Policy{Level: None}).TLSConfig("mx1.example.net") != nil {
		t.Error("level none has a TLS configuration")
	}
	if c := (Policy{Level: May, ServerName: "sni.example"}).TLSConfig("mx1.example.net"); c.ServerName != "sni.example" {
		t.Errorf("SNI %q", c.ServerName)
	}
}

// certificate makes a self-signed certificate and the pool that trusts it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
