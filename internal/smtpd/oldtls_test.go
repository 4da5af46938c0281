package smtpd

import (
	"crypto/tls"
	"strings"
	"testing"
)

// The log says what an old client needs, and nothing of the kind about others.
func TestOldTLS(t *testing.T) {
	for name, c := range map[string]struct {
		client *tls.Config
		hint   bool
	}{
		"TLS 1.0":          {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, true},
		"RSA key exchange": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, true},
		"another name":     {&tls.Config{ServerName: "else.example.com"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := secured(t, TLSOffered, nil)
			k := r.talk(t)
			k.say("STARTTLS", "220")
			if err := tls.Client(k.Conn, withName(c.client)).Handshake(); err == nil {
				t.Fatal("secured")
			}
			k.Close()
			r.log.has(t, "TLS handshake")
			if got := strings.Contains(r.log.String(), `profile = \"legacy\"`); got != c.hint {
				t.Errorf("hint %v, want %v: %s", got, c.hint, r.log)
			}
		})
	}
}

func withName(c *tls.Config) *tls.Config {
	if c.ServerName == "" {
		c.InsecureSkipVerify = true
	}
	return c
}
