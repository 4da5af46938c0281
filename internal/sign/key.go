package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"mailgate/internal/mail"
)

// RSA key sizes in bits. RFC 8301, section 3.2: verifiers must handle 1024 to
// 4096 and must not accept less; Google counts less as unsigned.
const (
	minRSABits         = 1024
	recommendedRSABits = 2048
	portableRSABits    = 4096
)

// ErrShortKey says that an RSA key has fewer than 1024 bits.
var ErrShortKey = errors.New("RSA keys under 1024 bits count as no signature (RFC 8301)")

// Key is one DKIM signing key.
type Key struct {
	Domain   mail.Domain   // d=
	Selector string        // s=
	Signer   crypto.Signer // RSA or Ed25519; the seam for another engine
	Identity string        // i=, optional: "user@domain" or "@domain", at or under d=
	Warnings []string      // for people, e.g. RSA under 2048 bits
	Standby  bool          // signs only while no other key of its algorithm and signing domain is valid in DNS
}

// Name is where the key's record is published: selector._domainkey.domain.
func (k Key) Name() string {
	return k.Selector + "._domainkey." + string(k.Domain)
}

// Record returns the TXT value to publish, such as "v=DKIM1; k=rsa; p=…", in one
// piece: splitting it into strings of 255 bytes is the zone's affair. RSA keys are
// given as SubjectPublicKeyInfo (RFC 6376, section 3.6.1), Ed25519 keys as the raw
// 32 bytes (RFC 8463, section 4). It is "" for a key of another kind, which no
// Keyring and no Stream accepts.
func (k Key) Record() string {
	switch public := publicOf(k.Signer).(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return ""
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	return ""
}

// Algorithm names the kind of key for people: "RSA 2048", "Ed25519".
func (k Key) Algorithm() string {
	switch public := publicOf(k.Signer).(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", public.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unsupported"
}

// check says what keeps k from signing.
func (k Key) check() error {
	if k.Domain == "" {
		return errors.New("key without a domain")
	}
	if err := CheckSelector(k.Selector); err != nil {
		return err
	}
	if err := checkPublic(publicOf(k.Signer)); err != nil {
		return fmt.Errorf("key %s: %w", k.Name(), err)
	}
	if _, err := k.identity(); err != nil {
		return fmt.Errorf("key %s: %w", k.Name(), err)
	}
	return nil
}

// checkPublic refuses the kinds and sizes of key that no verifier takes.
func checkPublic(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits {
			return fmt.Errorf("RSA key of %d bits: %w", bits, ErrShortKey)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	case nil:
		return errors.New("no private key")
	}
	return fmt.Errorf("%T can't sign DKIM: want RSA or Ed25519", public)
}

// warnings says for people what is allowed but unwise about a key.
func warnings(public crypto.PublicKey) []string {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil
	}
	switch bits := key.N.BitLen(); {
	case bits < recommendedRSABits:
		return []string{fmt.Sprintf("RSA key of %d bits: receivers recommend 2048 or more", bits)}
	case bits > portableRSABits:
		return []string{fmt.Sprintf("RSA key of %d bits: verifiers need not handle more than 4096 (RFC 8301)", bits)}
	}
	return nil
}

func publicOf(s crypto.Signer) crypto.PublicKey {
	if s == nil {
		return nil
	}
	return s.Public()
}
