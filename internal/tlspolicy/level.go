package tlspolicy

import (
	"fmt"
	"strings"
)

// Level is how strongly a connection is secured, in Postfix's words. Levels
// compare with < and > in order of increasing strength. The zero value is "not
// set".
type Level int

const (
	None     Level = iota + 1 // never TLS
	May                       // TLS where offered, any certificate, in the clear otherwise
	Encrypt                   // TLS or no delivery, any certificate
	DANE                      // certificate by TLSA records where the destination has them
	DANEOnly                  // certificate by TLSA records, or no delivery
	Verify                    // valid certificate for the MX host's name
	Secure                    // valid certificate for the destination's name
)

var levelNames = [...]string{None: "none", May: "may", Encrypt: "encrypt", DANE: "dane",
	DANEOnly: "dane-only", Verify: "verify", Secure: "secure"}

// ParseLevel reads a level's word.
func ParseLevel(s string) (Level, error) {
	for l := None; l <= Secure; l++ {
		if s == levelNames[l] {
			return l, nil
		}
	}
	return 0, fmt.Errorf("TLS level %q is not one of %s", s, strings.Join(levelNames[None:], ", "))
}

// String returns the level's word, "" for the zero value.
func (l Level) String() string {
	if l < 0 || l > Secure {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return levelNames[l]
}

// MarshalText writes the level's word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the level's word; the empty text is "not set".
func (l *Level) UnmarshalText(text []byte) (err error) {
	*l = 0
	if len(text) > 0 {
		*l, err = ParseLevel(string(text))
	}
	return err
}

// Mandatory reports whether mail must not leave without TLS at this level. It is
// true of DANE as well: only one who has looked for TLSA records and found none
// may treat that level as May.
func (l Level) Mandatory() bool { return l >= Encrypt }
