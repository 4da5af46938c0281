package tlspolicy

import "time"

// Source says where a policy comes from.
type Source string

const (
	FromOverride Source = "override" // an administrator's, with a reason
	FromDefault  Source = "default"  // nothing is known of the destination
)

// Curves is a choice of key exchange groups.
type Curves string

const (
	AnyCurves Curves = ""        // crypto/tls's own choice, post-quantum hybrids first
	Classic   Curves = "classic" // elliptic curves only: a ClientHello that fits one old packet
)

// Policy is how connections to one destination are to be secured.
type Policy struct {
	Level       Level     `json:"level"`
	MinVersion  Version   `json:"min_version,omitempty"` // lowest TLS version, see Versions
	MaxVersion  Version   `json:"max_version,omitempty"` // highest TLS version, zero: any
	Curves      Curves    `json:"curves,omitempty"`
	ServerName  string    `json:"server_name,omitempty"` // sent as SNI, "" for the MX host's name
	MatchNames  []string  `json:"match_names,omitempty"` // names a certificate may have at verify and secure; ".example.net" for any sub-domain; none: the MX host's name
	Source      Source    `json:"source"`
	Destination string    `json:"destination,omitempty"` // of the override
	Reason      string    `json:"reason,omitempty"`      // of the override
	Expires     time.Time `json:"expires,omitzero"`      // of the override, zero: never
}

// Versions returns the range of TLS versions in force. An unset minimum is TLS
// 1.2 (RFC 9325), or the maximum where that is lower; an unset maximum is zero.
func (p Policy) Versions() (lowest, highest Version) {
	lowest, highest = p.MinVersion, p.MaxVersion
	if lowest == 0 {
		lowest = TLS12
		if highest != 0 && highest < lowest {
			lowest = highest
		}
	}
	return lowest, highest
}
