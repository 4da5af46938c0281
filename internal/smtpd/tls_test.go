package smtpd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a certificate of that name with its key, and says where.
func pair(t testing.TB, dir, name string, useRSA bool) (certFile, keyFile string) {
	t.Helper()
	var key interface{ Public() any }
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var private any
	if useRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		private, key = k, publicOf{&k.PublicKey}
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, key = k, publicOf{&k.PublicKey}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return certFile, keyFile
}

type publicOf struct{ key any }

func (p publicOf) Public() any { return p.key }

// write replaces a file, as certbot does: another inode.
func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// secured is a listener with TLS.
func secured(t testing.TB, mode TLSMode, more func(*Config, *Listener)) *rig {
	cert, key := pair(t, t.TempDir(), "mx1.example.com", false)
	return start(t, func(c *Config, l *Listener) {
		certs, err := LoadCertificates(cert, key, Modern, c.Log)
		if err != nil {
			t.Fatal(err)
		}
		l.TLS, l.Config = mode, certs.Config()
		if more != nil {
			more(c, l)
		}
	})
}

// startTLS secures a connection, and says EHLO.
func (k *talk) startTLS() string {
	k.t.Helper()
	k.say("STARTTLS", "220 2.0.0")
	k.handshake()
	return k.say("EHLO client.example.com", "250")
}

func (k *talk) handshake() tls.ConnectionState {
	k.t.Helper()
	tc := tls.Client(k.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := tc.Handshake(); err != nil {
		k.t.Fatal(err)
	}
	k.Conn, k.in = tc, bufio.NewReader(tc)
	return tc.ConnectionState()
}

func TestSTARTTLS(t *testing.T) {
	r := secured(t, TLSOffered, nil)
	k := r.dial(t)
	k.want("220")
	if got := k.say("EHLO x", "250"); !strings.Contains(got, "250-STARTTLS\n") || strings.Contains(got, "AUTH") {
		t.Errorf("EHLO says %q", got)
	}
	k.say("STARTTLS now", "501")
	k.say("MAIL FROM:<eve@example.net>", "250")
	if got := k.startTLS(); strings.Contains(got, "STARTTLS") || strings.Contains(got, "AUTH") {
		t.Errorf("EHLO over TLS says %q", got)
	}
	k.say("RCPT TO:<bob@gmail.com>", "503 5.5.1") // MAIL was before TLS
	k.say("STARTTLS", "503 5.5.1")
	if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0") {
		t.Fatal(got)
	}
	m, _ := r.spool.last(t)
	if !strings.Contains(string(m.Prefix), "with ESMTPS (TLS 1.3 TLS_AES_128_GCM_SHA256)\r\n") {
		t.Errorf("prefix %q", m.Prefix)
	}
}

// HELO and everything else is forgotten with TLS.
func TestSTARTTLSForgets(t *testing.T) {
	k := secured(t, TLSOffered, nil).talk(t)
	k.say("STARTTLS", "220 2.0.0")
	k.handshake()
	k.say("MAIL FROM:<ann@example.com>", "503 5.5.1")
}

func TestTLSRequired(t *testing.T) {
	r := secured(t, TLSRequired, nil)
	k := r.talk(t)
	k.say("MAIL FROM:<ann@example.com>", "530 5.7.0")
	k.startTLS()
	k.say("MAIL FROM:<ann@example.com>", "250")
}

func TestTLSImplicit(t *testing.T) {
	r := secured(t, TLSImplicit, nil)
	k := r.dial(t)
	k.handshake()
	k.want("220 mx1.example.com")
	if got := k.say("EHLO x", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("EHLO says %q", got)
	}
	if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0") {
		t.Fatal(got)
	}
}

// What follows STARTTLS in the clear must not count after it.
func TestSTARTTLSInjection(t *testing.T) {
	for _, more := range []string{"NOOP\r\n", "MAIL FROM:<eve@example.net>\r\n", "\r\n", "x"} {
		r := secured(t, TLSOffered, nil)
		k := r.talk(t)
		k.send("STARTTLS\r\n" + more)
		k.want("554 5.5.1")
		k.closed()
		r.log.has(t, "data sent along with STARTTLS")
	}
	r := secured(t, TLSOffered, nil)
	k := r.talk(t)
	k.say("STARTTLS", "220")
	k.send("MAIL FROM:<eve@example.net>\r\n") // too late to be seen with the command: no handshake
	if got := k.reply(); strings.HasPrefix(got, "2") {
		t.Errorf("plain text after STARTTLS: %q", got)
	}
	r.log.has(t, "TLS handshake")
}

func TestNoTLS(t *testing.T) {
	k := start(t, nil).talk(t)
	k.say("STARTTLS", "502 5.5.1")
	r := NewServer(Config{})
	if err := r.Serve(t.Context(), Listener{Listener: &closedListener{}, TLS: TLSRequired}); err == nil {
		t.Error("TLS without a certificate")
	}
}

// What OpenSSL of the day can still do as old Exchange does: TLS 1.0 and RSA key
// exchange.
func TestLegacy(t *testing.T) {
	cert, key := pair(t, t.TempDir(), "mx1.example.com", true)
	for _, c := range []struct {
		profile Profile
		args    string
		works   string
	}{
		{Legacy, "-tls1 -cipher AES128-SHA@SECLEVEL=0", "Protocol  : TLSv1\n    Cipher    : AES128-SHA\n"},
		{Legacy, "-tls1 -cipher AES256-SHA@SECLEVEL=0", "Protocol  : TLSv1\n    Cipher    : AES256-SHA\n"},
		{Legacy, "-tls1_1 -cipher ECDHE-RSA-AES128-SHA@SECLEVEL=0", "Protocol  : TLSv1.1\n    Cipher    : ECDHE-RSA-AES128-SHA\n"},
		{Legacy, "-tls1_2 -cipher AES128-SHA@SECLEVEL=0", "Protocol  : TLSv1.2\n    Cipher    : AES128-SHA\n"},
		{Legacy, "-tls1_3", "TLSv1.3, Cipher is"},
		{Modern, "-tls1 -cipher AES128-SHA@SECLEVEL=0", ""},
		{Modern, "-tls1_1 -cipher ECDHE-RSA-AES128-SHA@SECLEVEL=0", ""},
		{Modern, "-tls1_2 -cipher AES128-SHA@SECLEVEL=0", ""},
		{Modern, "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "Cipher is ECDHE-RSA-AES128-GCM-SHA256"},
	} {
		t.Run(string(c.profile)+" "+c.args, func(t *testing.T) {
			r := start(t, func(config *Config, l *Listener) {
				certs, err := LoadCertificates(cert, key, c.profile, config.Log)
				if err != nil {
					t.Fatal(err)
				}
				l.TLS, l.Profile, l.Config = TLSRequired, c.profile, certs.Config()
			})
			args := append([]string{"s_client", "-starttls", "smtp", "-connect", r.address}, strings.Fields(c.args)...)
			cmd := exec.CommandContext(t.Context(), "openssl", args...)
			cmd.Stdin = strings.NewReader("EHLO x\r\nQUIT\r\n")
			out, err := cmd.CombinedOutput()
			if works := err == nil && strings.Contains(string(out), "Cipher is ") && !strings.Contains(string(out), "Cipher is (NONE)"); works != (c.works != "") ||
				!strings.Contains(string(out), c.works) {
				t.Errorf("want %q: %v\n%s", c.works, err, out)
			}
			if c.profile == Legacy {
				r.log.has(t, "level=WARN msg=\"smtpd: TLS 1.0 and RSA key exchange are accepted")
			}
		})
	}
}

func TestLegacyNeedsRSA(t *testing.T) {
	cert, key := pair(t, t.TempDir(), "mx1.example.com", false)
	if _, err := LoadCertificates(cert, key, Legacy, slog.Default()); err == nil || !strings.Contains(err.Error(), "needs an RSA key") {
		t.Errorf("error %v", err)
	}
}

// served is the name in the certificate that a client is shown now.
func (r *rig) served(t *testing.T) string {
	t.Helper()
	k := r.talk(t)
	k.say("STARTTLS", "220")
	return k.handshake().PeerCertificates[0].Subject.CommonName
}

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "one", true)
	r := start(t, func(c *Config, l *Listener) {
		certs, err := LoadCertificates(cert, key, Legacy, c.Log)
		if err != nil {
			t.Fatal(err)
		}
		l.TLS, l.Config = TLSOffered, certs.Config()
	})
	want := func(name string) {
		t.Helper()
		for range 2 {
			if got := r.served(t); got != name {
				t.Errorf("certificate of %s, want %s", got, name)
			}
		}
	}
	want("one")
	pair(t, dir, "two", true)
	want("two")
	r.log.has(t, "certificate read again")
	write(t, cert, []byte("rubbish"))
	want("two")
	if n := strings.Count(r.log.String(), "the old one stays"); n != 1 {
		t.Errorf("told %d times that the certificate is no good", n)
	}
	pair(t, dir, "three", false) // not for the legacy profile
	want("two")
	r.log.has(t, "needs an RSA key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	want("two")
	pair(t, dir, "four", true)
	want("four")
}
