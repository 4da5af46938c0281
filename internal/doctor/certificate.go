package doctor

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"
)

const renewBefore = 14 * 24 * time.Hour

// Certificate checks the certificate of a door that offers TLS: that it can be read
// and fits its key, that nobody else can read that, whom it names, and when it ends.
// Legacy doors need an RSA key. The gateway, which has to read both, runs as user uid; -1:
// not known.
func Certificate(door, certFile, keyFile, hostname string, legacy bool, uid int, now time.Time) Result {
	r := Result{Area: "certificate", Code: "certificate", Status: Pass}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Result{Area: "certificate", Code: "certificate-unreadable", Status: Unknown, Text: fmt.Sprintf("%s: %v", door, err), Mend: []string{"Run this as root."}}
	case err != nil:
		return Result{Area: "certificate", Code: "certificate-unusable", Status: Fail, Text: fmt.Sprintf("%s: %v", door, err),
			Mend: []string{fmt.Sprintf("Put a PEM certificate into %s and its key into %s; mailgate reads them again by itself.", certFile, keyFile)}}
	}
	if r, bad := readableBy(door, certFile, keyFile, uid); bad {
		return r
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

// readableBy looks at the files' modes: the gateway has to read both, others not the key.
func readableBy(door, certFile, keyFile string, uid int) (Result, bool) {
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o004 != 0 {
		return Result{Area: "certificate", Code: "certificate-key-open", Status: Fail,
			Text: fmt.Sprintf("%s: everybody can read the key %s (mode %04o)", door, keyFile, info.Mode().Perm()),
			Mend: []string{"chmod o= " + Quote(keyFile)}}, true
	}
	if uid <= 0 {
		return Result{}, false
	}
	who, err := identify(strconv.Itoa(uid))
	if err != nil {
		return Result{}, false
	}
	for _, file := range []string{certFile, keyFile} {
		if at, err := who.barrier(file, 4); err != nil {
			return Result{Area: "certificate", Code: "certificate-not-permitted", Status: Fail, Text: fmt.Sprintf("%s: %v, as whom the gateway runs", door, err),
				Mend: []string{fmt.Sprintf("Let it: chgrp %s %s && chmod g+rX %s", Quote(who.group), Quote(at), Quote(at)),
					"Or have a copy made for it at each renewal (certbot: --deploy-hook)."}}, true
		}
	}
	return Result{}, false
}
