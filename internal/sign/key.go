package sign

import (
	"crypto"

	"mailgate/internal/mail"
)

// Key is one DKIM signing key.
type Key struct {
	Domain   mail.Domain   // d=
	Selector string        // s=
	Signer   crypto.Signer // RSA or Ed25519; the seam for another engine
	Identity string        // i=, optional
	Warnings []string      // for people, e.g. RSA under 2048 bits
}

// Name is where the key's record is published: selector._domainkey.domain.
func (k Key) Name() string { return "" }

// Record returns the TXT value to publish: "v=DKIM1; k=rsa; p=…".
func (k Key) Record() string { return "" }

// Algorithm names the kind of key for people: "RSA 2048", "Ed25519".
func (k Key) Algorithm() string { return "" }

// LoadKey reads a private key.
func LoadKey(path string) (crypto.Signer, []string, error) { return nil, nil, nil }

// Generate makes a key of the named kind.
func Generate(kind string) (crypto.Signer, error) { return nil, nil }

// WriteKey writes key to a new file.
func WriteKey(path string, key crypto.Signer) error { return nil }
