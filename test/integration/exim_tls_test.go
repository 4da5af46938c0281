//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEximTLS: from another machine Exim comes by STARTTLS, checks the relay's
// certificate, and logs in, as docs/exim.md says. With another certificate, or
// another password, the mail stays with Exim.
func TestEximTLS(t *testing.T) {
	dir := makeDir(t)
	certificate, key := filepath.Join(dir, "mx1.pem"), filepath.Join(dir, "mx1.key.pem")
	other := filepath.Join(dir, "other.pem")
	const at = "127.0.0.1"
	certify(t, at, certificate, key)
	certify(t, at, other, filepath.Join(dir, "other.key.pem"))
	w := newEximWorld(t, plan{ours: []string{"good.test"}}, fmt.Sprintf(`trusted = []
tls = "required"
certificate = %q
key = %q
[[relay.user]]
name = "exim"
%sfrom = ["good.test"]
`, certificate, key, hashed(t, "open: ^sesame")))
	_, port, err := net.SplitHostPort(w.relay)
	if err != nil {
		t.Fatal(err)
	}
	m := readManual(t)
	d := unpackDebian(t, w.exim, true)
	configure := func(trusted, password string) {
		t.Helper()
		transport := replaced(t, m.block(t, "  hosts_require_auth = *"), "/etc/exim4/mailgate.pem", trusted, "2525", port)
		d.add(t, m, m.router(t, at), transport)
		m.mentions(t, "/etc/exim4/passwd.client", "192.0.2.10:exim:PASSWORD")
		writeFile(t, filepath.Join(d.etc, "passwd.client"), at+":exim:"+password+"\n", 0o644)
		d.generate(t)
		// Exim would put off what it knows to have failed.
		if err := os.RemoveAll(filepath.Join(d.spool(), "db")); err != nil {
			t.Fatal(err)
		}
	}
	const from = "ann@good.test"
	submit := func(to string) (message []byte) {
		t.Helper()
		message = compose(from, to, to, "Hello.\r\n")
		w.exim.submit(t, from, message)
		return message
	}
	deferred := func(to, why string) {
		t.Helper()
		w.exim.logged(t, why)
		w.exim.logged(t, " == "+to+" R=mailgate T=mailgate_smtp defer ")
		if n := len(w.receiver.arrived(to)); n != 0 {
			t.Errorf("%d messages for %s left", n, to)
		}
	}

	configure(other, "open: ^sesame")
	kept := submit("one@gmail.com")
	deferred("one@gmail.com", "certificate")
	configure(certificate, "guess")
	submit("two@gmail.com")
	deferred("two@gmail.com", "authenticat.* 535 5.7.8 ")

	configure(certificate, "open: ^sesame")
	message := submit("three@gmail.com")
	w.wantSigned(t, "good.test", w.receiver.only(t, "three@gmail.com"), message)
	w.taken(t, "three@gmail.com")
	line := w.exim.logged(t, ` => three@gmail\.com R=mailgate T=mailgate_smtp H=`+at+` \[`+at+`\] (.*)$`)
	wantMentioned(t, line[1], "X=TLS1.3:", " CV=yes ", " A=plain ")

	w.exim.run(t, nil, "-qff")
	w.wantSigned(t, "good.test", w.receiver.only(t, "one@gmail.com"), kept)
	w.receiver.only(t, "two@gmail.com")
	w.receiver.only(t, "three@gmail.com")
}

// hashed is the line that `mailgate relay passwd` prints.
func hashed(t *testing.T, password string) string {
	t.Helper()
	cmd := exec.Command(binary, "relay", "passwd")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mailgate relay passwd: %v", err)
	}
	return string(out)
}

// certify makes a certificate for an address, valid for a day, which is its own
// authority.
func certify(t *testing.T, at, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), IPAddresses: []net.IP{net.ParseIP(at)}, NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
}
