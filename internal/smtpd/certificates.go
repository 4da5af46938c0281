package smtpd

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// Profile says which TLS a listener speaks.
type Profile string

const (
	Modern Profile = "modern" // TLS 1.2 and later; also the zero value
	Legacy Profile = "legacy" // TLS 1.0 and later, with RSA key exchange: Exchange 2010 before SP3 RU9, 2013 before CU8
)

// Certificates is a certificate with its key that is read again when its files
// change. A new pair that is no good is logged once, and the old one stays.
type Certificates struct {
	certFile, keyFile string
	profile           Profile
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]os.FileInfo // of the files when they were last read, good or bad
}

// LoadCertificates reads the pair for the first time. The legacy profile needs an
// RSA key.
func LoadCertificates(certFile, keyFile string, p Profile, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, profile: p, log: log}
	var err error
	if c.seen, err = c.stat(); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if c.current, err = c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// Config is the configuration of a listener.
func (c *Certificates) Config() *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
	if c.profile == Legacy {
		config.MinVersion = tls.VersionTLS10
		config.CipherSuites = legacySuites()
	}
	return config
}

// legacySuites are those of TLS 1.2 that are in use, and what Windows had before.
func legacySuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
	}
}

// get is the pair in force.
func (c *Certificates) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.stat()
	if err == nil && same(now, c.seen) {
		return c.current
	}
	if err == nil {
		c.seen = now
		var pair *tls.Certificate
		if pair, err = c.load(); err == nil {
			c.current = pair
			c.log.Info("smtpd: certificate read again", "file", c.certFile)
			return pair
		}
	} else if c.seen[0] == nil {
		return c.current // told already
	} else {
		c.seen = [2]os.FileInfo{}
	}
	c.log.Error("smtpd: certificate changed and is no good, the old one stays", "error", err)
	return c.current
}

func (c *Certificates) stat() (s [2]os.FileInfo, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if s[i], err = os.Stat(name); err != nil {
			return s, err
		}
	}
	return s, nil
}

func same(a, b [2]os.FileInfo) bool {
	for i := range a {
		if b[i] == nil || !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

func (c *Certificates) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	if _, ok := pair.PrivateKey.(*rsa.PrivateKey); c.profile == Legacy && !ok {
		return nil, fmt.Errorf("certificate %s: %w", c.certFile, errNotRSA)
	}
	return &pair, nil
}

var errNotRSA = errors.New("the profile legacy needs an RSA key")
