package doctor

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const renewBefore = 14 * 24 * time.Hour

// Certificate checks the certificate of a door that offers TLS: that it can be read
// and fits its key, whom it names, and when it ends. Legacy doors need an RSA key.
func Certificate(door, certFile, keyFile, hostname string, legacy bool, now time.Time) Result {
	r := Result{Area: "certificate", Code: "certificate", Status: Pass}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Result{Area: "certificate", Code: "certificate-unreadable", Status: Unknown, Text: fmt.Sprintf("%s: %v", door, err), Mend: []string{"Run this as root."}}
	case err != nil:
		return Result{Area: "certificate", Code: "certificate-unusable", Status: Fail, Text: fmt.Sprintf("%s: %v", door, err),
			Mend: []string{fmt.Sprintf("Put a PEM certificate into %s and its key into %s; mailgate reads them again by itself.", certFile, keyFile)}}
	}
	leaf := pair.Leaf
	left := leaf.NotAfter.Sub(now)
	r.Text = fmt.Sprintf("%s: %s until %s", door, certFile, leaf.NotAfter.UTC().Format(time.DateOnly))
	renew := []string{"Renew it; mailgate reads changed files by itself."}
	_, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case left <= 0:
		r.Code, r.Status, r.Mend = "certificate-expired", Fail, renew
		r.Text = fmt.Sprintf("%s: %s ended on %s", door, certFile, leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		r.Code, r.Status = "certificate-not-yet", Fail
		r.Text = fmt.Sprintf("%s: %s begins on %s only", door, certFile, leaf.NotBefore.UTC().Format(time.DateOnly))
		r.Mend = []string{"Set the clock, or wait."}
	case legacy && !isRSA:
		r.Code, r.Status = "certificate-not-rsa", Fail
		r.Text = fmt.Sprintf("%s: old servers (profile legacy) need an RSA certificate, and %s has another kind of key", door, certFile)
		r.Mend = []string{"Get an RSA certificate, with certbot: --key-type rsa"}
	case left < renewBefore:
		r.Code, r.Status, r.Mend = "certificate-ends-soon", Warn, renew
	case leaf.VerifyHostname(hostname) != nil:
		r.Code, r.Status = "certificate-name", Warn
		r.Text += fmt.Sprintf(", but it doesn't name %s", hostname)
		r.Mend = []string{"Harmless where clients connect by a name it has, or don't verify it, as most don't."}
	}
	return r
}
