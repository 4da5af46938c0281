package preflight

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyRecord is a parsed DKIM key record. RFC 6376 section 3.6.1.
type keyRecord struct {
	Algorithm string           // k=, "rsa" where it isn't given
	Public    crypto.PublicKey // nil when revoked
	Revoked   bool             // p= is empty
	Hashes    []string         // h=; empty: all
	Services  []string         // s=; empty: all
	Flags     []string         // t=
	Spaces    bool             // white space inside p=: legal, yet some verifiers stumble
}

// Testing reports t=y.
func (k keyRecord) Testing() bool { return slices.Contains(k.Flags, "y") }

// AllowsSHA256 reports whether h= lets a signature use SHA-256.
func (k keyRecord) AllowsSHA256() bool {
	return len(k.Hashes) == 0 || slices.Contains(k.Hashes, "sha256")
}

// AllowsMail reports whether s= lets the key sign mail.
func (k keyRecord) AllowsMail() bool {
	return len(k.Services) == 0 || slices.Contains(k.Services, "*") || slices.Contains(k.Services, "email")
}

var errNoKey = errors.New("tag p= is missing")

// parseKeyRecord reads the value of a DKIM TXT record. It is as strict as
// verifiers are: whatever it refuses, a signature won't verify with.
func parseKeyRecord(s string) (keyRecord, error) {
	tags, err := parseTags(s)
	if err != nil {
		return keyRecord{}, err
	}
	record := keyRecord{Algorithm: "rsa"}
	p, published := "", false
	for i, t := range tags {
		switch t.name {
		case "v":
			if i != 0 || t.value != "DKIM1" {
				return keyRecord{}, fmt.Errorf("v=%s: must be DKIM1 and come first", clip(t.value, 20))
			}
		case "h":
			record.Hashes = colonList(t.value)
		case "k":
			record.Algorithm = t.value
		case "p":
			p, published = t.value, true
		case "s":
			record.Services = colonList(t.value)
		case "t":
			record.Flags = colonList(t.value)
		}
	}
	if !published {
		return keyRecord{}, errNoKey
	}
	return record.withKey(p)
}

// withKey adds the key that p= holds.
func (k keyRecord) withKey(p string) (keyRecord, error) {
	if p == "" {
		k.Revoked = true
		return k, nil
	}
	packed := dropFWS(p)
	k.Spaces = packed != p
	der, err := decodeBase64(packed)
	if err != nil {
		return keyRecord{}, errors.New("p= is not base64")
	}
	switch k.Algorithm {
	case "rsa":
		k.Public, err = parseRSA(der)
	case "ed25519":
		k.Public, err = parseEd25519(der)
	default:
		err = fmt.Errorf("k=%s is not a key type of DKIM", clip(k.Algorithm, 20))
	}
	if err != nil {
		return keyRecord{}, err
	}
	return k, nil
}

func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// parseRSA takes a SubjectPublicKeyInfo, which everybody publishes, or the bare
// RSAPublicKey that RFC 6376 also names.
func parseRSA(der []byte) (crypto.PublicKey, error) {
	if public, err := x509.ParsePKIXPublicKey(der); err == nil {
		if key, ok := public.(*rsa.PublicKey); ok {
			return key, nil
		}
		return nil, errors.New("p= holds a key that is not RSA, while k=rsa")
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, errors.New("p= does not hold a whole RSA key")
	}
	return key, nil
}

// parseEd25519 takes the 32 bytes of RFC 8463 section 4.
func parseEd25519(der []byte) (crypto.PublicKey, error) {
	if len(der) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("p= holds %d bytes, an Ed25519 key has %d", len(der), ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(der), nil
}

// samePublic reports whether two public keys are one.
func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// describeKey returns the algorithm as DKIM names it and its size in bits.
func describeKey(public crypto.PublicKey) (algorithm string, bits int) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return "rsa", key.N.BitLen()
	case ed25519.PublicKey:
		return "ed25519", 256
	}
	return "", 0
}

// publishedForm returns what p= of a key's own record holds.
func publishedForm(public crypto.PublicKey) string {
	if key, ok := public.(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(key)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(der)
}
