package preflight

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strconv"

	"mailgate/internal/mail"
)

// Key is a key that would sign, as far as pre-flight needs it.
type Key struct {
	Domain   mail.Domain      // d=
	Selector string           // s=
	Public   crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey; nil: any valid published key will do
	Standby  bool             // signs only while no other key of its algorithm is valid
}

// name returns where the key's record is looked for. RFC 6376 section 3.6.2.1.
func (k Key) name() string {
	return k.Selector + "._domainkey." + string(k.Domain)
}

// Identity is all that a verdict depends on, and the key of the cache. Its slices
// must not be changed afterwards: a report is refreshed in the background.
type Identity struct {
	From     mail.Domain  // RFC 5322 From
	MailFrom mail.Domain  // MAIL FROM; "" for the null sender (SPF is then checked on Helo)
	Helo     mail.Domain  // what *we* say to the world: the configured hostname
	Keys     []Key        // all keys there are to sign with, those on standby too; which do, see KeyFact.Unused
	Egress   []netip.Addr // every public address the mail may leave from
}

// spfDomain returns the domain SPF is checked on. RFC 7208 section 2.4.
func (id Identity) spfDomain() mail.Domain {
	if id.MailFrom != "" {
		return id.MailFrom
	}
	return id.Helo
}

// CacheKey is equal for equal identities only: a digest of every field, the
// public keys included. It is called for every message and costs about a
// microsecond.
func (id Identity) CacheKey() string {
	var room [1024]byte
	b := room[:0]
	b = appendString(b, string(id.From))
	b = appendString(b, string(id.MailFrom))
	b = appendString(b, string(id.Helo))
	b = binary.AppendUvarint(b, uint64(len(id.Keys)))
	for _, k := range id.Keys {
		b = appendString(b, string(k.Domain))
		b = appendString(b, k.Selector)
		b = appendPublic(b, k.Public)
		b = strconv.AppendBool(b, k.Standby)
	}
	for _, a := range id.Egress {
		sixteen := a.As16()
		b = append(b, sixteen[:]...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// appendString appends s with its length before it, so that no two lists of
// strings give the same bytes.
func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendPublic(b []byte, public crypto.PublicKey) []byte {
	switch p := public.(type) {
	case *rsa.PublicKey:
		b = append(b, 'r')
		b = binary.AppendUvarint(b, uint64(p.E))
		b = binary.AppendUvarint(b, uint64(p.Size()))
		at := len(b)
		b = append(b, make([]byte, p.Size())...)
		p.N.FillBytes(b[at:])
	case ed25519.PublicKey:
		b = append(b, 'e')
		b = appendString(b, string(p))
	default:
		b = append(b, '-')
	}
	return b
}
