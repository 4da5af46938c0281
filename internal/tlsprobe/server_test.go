package tlsprobe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// server is a mail server with a TLS of some age or other.
type server struct {
	tls      *tls.Config // nil: STARTTLS isn't offered
	maxHello int         // resets the connection at a longer ClientHello record; 0: never
	injects  bool        // says more after its answer to STARTTLS
	implicit bool        // TLS from the first byte on
	silent   bool        // accepts, and says nothing
	full     bool        // takes no more connections
}

// patience is for what must come about, however slow the machine is.
const patience = 5 * time.Minute

// inAnyTime connects although the time for it may be over: what takes too long is then
// what comes after.
func inAnyTime(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(context.WithoutCancel(ctx), "tcp", to.String())
}

// start returns where it listens.
func (s server) start(t *testing.T) netip.AddrPort {
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
			go s.talk(conn.(*net.TCPConn))
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func (s server) talk(conn *net.TCPConn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if s.implicit {
		s.secure(conn, bufio.NewReader(conn))
		return
	}
	if s.silent {
		io.Copy(io.Discard, conn)
		return
	}
	if s.full {
		fmt.Fprint(conn, "421 too many connections\r\n")
		return
	}
	fmt.Fprint(conn, "220 mx.example.net ESMTP old and proven\r\n")
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case verb == "EHLO" && s.tls != nil:
			fmt.Fprint(conn, "250-mx.example.net\r\n250 STARTTLS\r\n")
		case verb == "EHLO":
			fmt.Fprint(conn, "250 mx.example.net\r\n")
		case verb == "STARTTLS" && s.injects:
			fmt.Fprint(conn, "220 go ahead\r\n250 mx.example.net\r\n")
			s.secure(conn, r)
			return
		case verb == "STARTTLS":
			fmt.Fprint(conn, "220 go ahead\r\n")
			s.secure(conn, r)
			return
		case verb == "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "502 what?\r\n")
		}
	}
}

func (s server) secure(conn *net.TCPConn, r *bufio.Reader) {
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(r, head); err != nil {
		return
	}
	if s.maxHello > 0 && int(head[3])<<8+int(head[4]) > s.maxHello {
		conn.SetLinger(0)
		return
	}
	c := tls.Server(replayed{conn, io.MultiReader(bytes.NewReader(head), r)}, s.tls)
	if c.Handshake() == nil {
		io.Copy(io.Discard, c)
	}
}

// replayed gives back what was read to look at it.
type replayed struct {
	net.Conn
	r io.Reader
}

func (r replayed) Read(p []byte) (int, error) { return r.r.Read(p) }

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// sign makes an RSA certificate, which servers of any age can use.
func (a authority) sign(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}
