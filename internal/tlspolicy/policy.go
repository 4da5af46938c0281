package tlspolicy

import (
	"errors"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// ErrUnsettled is wrapped by errors of Lookup where DNS doesn't tell whether a
// destination demands DANE, or which overrides are for its MX hosts: mail waits,
// rather than leave with less (RFC 7672, section 2.1).
var ErrUnsettled = errors.New("how it must be secured can't be told now")

// Source says where a policy comes from.
type Source string

const (
	FromOverride Source = "override" // an administrator's, with a reason
	FromDANE     Source = "dane"     // validated TLSA records of the MX hosts (RFC 7672)
	FromMTASTS   Source = "mta-sts"  // the domain's policy (RFC 8461)
	FromLearned  Source = "learned"  // what a handshake didn't work with lately
	FromRoute    Source = "route"    // the relay's route for the destination
	FromDefault  Source = "default"  // nothing is known of the destination
)

// Curves is a choice of key exchange groups.
type Curves string

const (
	AnyCurves Curves = ""        // crypto/tls's own choice, post-quantum hybrids first
	Classic   Curves = "classic" // elliptic curves only: a ClientHello that fits one old packet
)

// Policy is how connections to one destination are to be secured. What it holds
// is shared: it must not be changed.
type Policy struct {
	Level      Level    `json:"level"`
	MinVersion Version  `json:"min_version,omitempty"` // lowest TLS version, see Versions
	MaxVersion Version  `json:"max_version,omitempty"` // highest TLS version, zero: any
	Ciphers    []string `json:"ciphers,omitempty"`     // suites for TLS 1.2 and below by their IANA names; none: crypto/tls's own choice
	Curves     Curves   `json:"curves,omitempty"`
	ServerName string   `json:"server_name,omitempty"` // sent as SNI, "" for the MX host's name
	MatchNames []string `json:"match_names,omitempty"` // names a certificate may have at verify, secure and DANE-TA; ".example.net" for any sub-domain; none: the MX host's name

	// Hosts are the only MX hosts that may be used, as an MTA-STS policy lists them:
	// "mx.example.net", or "*.example.net" for one label more. None: any.
	Hosts  []string `json:"hosts,omitempty"`
	usable bool     // at level dane, of all MX hosts: some have TLSA records that can be used

	// TLSA are the usable records for Destination.Host at the levels dane and
	// dane-only. Without a Host there are none, and whoever connects asks for them.
	TLSA []TLSA `json:"tlsa,omitempty"`

	Source      Source    `json:"source"`                // of the level
	Origins     Origins   `json:"origins,omitzero"`      // of the rest
	Testing     bool      `json:"testing,omitempty"`     // an MTA-STS policy in testing mode: failures are reported, and nothing more
	TestHosts   []string  `json:"test_hosts,omitempty"`  // as Hosts, of a policy in testing mode; see Tested
	Until       time.Time `json:"until,omitzero"`        // end of the MTA-STS policy that this rests on, or that is in testing mode
	Destination string    `json:"destination,omitempty"` // of the override
	LevelOf     string    `json:"level_of,omitempty"`    // destination of the override that sets the level, where the one of Destination doesn't
	Reason      string    `json:"reason,omitempty"`      // of the override, or what was learned
	Expires     time.Time `json:"expires,omitzero"`      // of the override or what was learned, zero: never
	Raised      string    `json:"raised,omitempty"`      // why the override's level is not in force: it is below what is demanded, and has no reason or no end
}

// Origins says where what isn't the level comes from; empty where it is not set.
type Origins struct {
	Versions   Source `json:"versions,omitempty"`
	Ciphers    Source `json:"ciphers,omitempty"`
	Curves     Source `json:"curves,omitempty"`
	ServerName Source `json:"server_name,omitempty"`
	MatchNames Source `json:"match_names,omitempty"`
}

// TLSA is one record (RFC 6698), usable for SMTP: usage DANE-TA(2) or DANE-EE(3).
type TLSA struct {
	Usage        uint8  `json:"usage"`
	Selector     uint8  `json:"selector"`
	MatchingType uint8  `json:"matching_type"`
	Data         []byte `json:"data"`
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

// Allows reports whether the policy lets mail be given to an MX host.
func (p Policy) Allows(host mail.Domain) bool { return len(p.Hosts) == 0 || anyHost(p.Hosts, host) }

// anyHost compares as RFC 8461, section 4.1: "*." stands for one label.
func anyHost(patterns []string, host mail.Domain) bool {
	for _, pattern := range patterns {
		if parent, ok := strings.CutPrefix(pattern, "*."); ok {
			if host.Parent() == mail.Domain(parent) && host != "" {
				return true
			}
		} else if string(host) == pattern {
			return true
		}
	}
	return false
}
