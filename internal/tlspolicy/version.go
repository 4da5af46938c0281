package tlspolicy

import (
	"crypto/tls"
	"fmt"
)

// Version is a TLS version by its number on the wire, as in crypto/tls. The zero
// value is "not set".
type Version uint16

const (
	TLS10 Version = tls.VersionTLS10
	TLS11 Version = tls.VersionTLS11
	TLS12 Version = tls.VersionTLS12
	TLS13 Version = tls.VersionTLS13
)

// ParseVersion reads "1.0", "1.1", "1.2" or "1.3".
func ParseVersion(s string) (Version, error) {
	for v := TLS10; v <= TLS13; v++ {
		if s == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("TLS version %q is not one of 1.0, 1.1, 1.2, 1.3", s)
}

// String returns "1.0" to "1.3", "" for the zero value.
func (v Version) String() string {
	if v == 0 {
		return ""
	}
	if v < TLS10 || v > TLS13 {
		return fmt.Sprintf("Version(%#04x)", uint16(v))
	}
	return fmt.Sprintf("1.%d", v-TLS10)
}

// MarshalText writes the version as String does.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what ParseVersion does; the empty text is "not set".
func (v *Version) UnmarshalText(text []byte) (err error) {
	*v = 0
	if len(text) > 0 {
		*v, err = ParseVersion(string(text))
	}
	return err
}
