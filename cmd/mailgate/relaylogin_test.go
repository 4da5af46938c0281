package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"mailgate/internal/smtpd"
)

// writeCertificate makes a certificate of one day for any name.
func writeCertificate(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx1.site.test"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der},
		key:         {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// A user of the configuration logs in over TLS and sends as his domain, and as no
// other; a reload takes the right away.
func TestRelayLogin(t *testing.T) {
	certificate, key := writeCertificate(t, t.TempDir())
	hash, err := smtpd.HashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	s := startRelaySite(t, fmt.Sprintf("trusted = [\"192.0.2.0/24\"]\ntls = \"offered\"\ncertificate = %q\nkey = %q\n"+
		"[[relay.user]]\nname = \"exchange\"\npassword = %q\nfrom = [\"one.example\"]\n", certificate, key, hash))
	s.publish()
	login := func(password, message string) error {
		c, err := smtp.DialStartTLS(s.relay, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Auth(sasl.NewPlainClient("", "exchange", password)); err != nil {
			return err
		}
		return c.SendMail("ann@one.example", []string{"bob@gmail.test"}, strings.NewReader(message))
	}
	if err := login("secret", letterOf("login")); err != nil {
		t.Fatal(err)
	}
	if a := s.awaitArrival(); a.dkim != "pass" {
		t.Errorf("DKIM %s", a.dkim)
	}
	if err := login("wrong", letterOf("login")); err == nil || !strings.Contains(err.Error(), "password is wrong") {
		t.Errorf("wrong password: %v", err)
	}
	other := strings.Replace(letterOf("other"), "one.example", "two.example", 1)
	if err := login("secret", other); err == nil || !strings.Contains(err.Error(), "may not write as two.example") {
		t.Errorf("another's domain: %v", err)
	}
	s.reconfigure(`from = ["one.example"]`, `from = ["two.example"]`)
	if err := login("secret", letterOf("after")); err == nil || !strings.Contains(err.Error(), "may not write as one.example") {
		t.Errorf("after the reload: %v", err)
	}
}
