package tlspolicy

import (
	"fmt"
	"strings"
)

// Postfix returns the policy as the value of an smtp_tls_policy_maps entry for
// Postfix 3.6 and later: "encrypt protocols=>=TLSv1.2:<=TLSv1.2". It can't carry
// the curves, which Postfix has no attribute for.
func (p Policy) Postfix() string { return p.postfix(protocolRange) }

// PostfixLegacy is Postfix for Postfix 3.4 and 3.5, which know no bounds and
// list what is excluded: "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3".
func (p Policy) PostfixLegacy() string { return p.postfix(protocolExclusions) }

// postfix joins the attributes with spaces; their values are separated by
// colons. Postfix refuses attributes that a level has no use for.
func (p Policy) postfix(protocols func(lowest, highest Version) string) string {
	level := p.Level.String()
	if p.Level == None {
		return level
	}
	b := append(make([]byte, 0, 256), level...)
	if p.MinVersion != 0 || p.MaxVersion != 0 || p.Level.Mandatory() { // Postfix 3.7 takes TLS 1.0 by itself
		b = append(append(b, " protocols="...), protocols(p.Versions())...)
	}
	if exclude := postfixExclude(p.Ciphers); exclude != "" {
		b = append(append(b, " ciphers=medium exclude="...), exclude...)
	}
	if name := p.postfixServerName(); name != "" {
		b = append(append(b, " servername="...), name...)
	}
	return string(p.appendMatch(b))
}

// postfixServerName is "hostname" for MTA-STS, by which Postfix sends the MX host's
// name: RFC 8461, section 4.3, wants one. At the DANE levels Postfix itself sends
// the right one, and refuses the attribute.
func (p Policy) postfixServerName() string {
	switch {
	case p.Level == DANE || p.Level == DANEOnly:
		return ""
	case p.ServerName == "" && p.Source == FromMTASTS:
		return "hostname"
	}
	return p.ServerName
}

// appendMatch leaves out addresses, which Postfix doesn't look for in certificates.
func (p Policy) appendMatch(b []byte) []byte {
	if p.Level < Verify {
		return b
	}
	separator := " match="
	for _, name := range p.MatchNames {
		if !isAddress(name) {
			b = append(append(b, separator...), name...)
			separator = ":"
		}
	}
	return b
}

// protocolRange names both bounds: the attribute replaces the one in main.cf, so
// that a bound left out would be no bound.
func protocolRange(lowest, highest Version) string {
	bounds := ">=" + postfixVersion(lowest)
	if highest != 0 {
		bounds += ":<=" + postfixVersion(highest)
	}
	return bounds
}

func protocolExclusions(lowest, highest Version) string {
	excluded := []string{"!SSLv2", "!SSLv3"}
	for v := TLS10; v <= TLS13; v++ {
		if v < lowest || highest != 0 && v > highest {
			excluded = append(excluded, "!"+postfixVersion(v))
		}
	}
	return strings.Join(excluded, ":")
}

// postfixVersion is OpenSSL's name: "TLSv1", "TLSv1.1", …
func postfixVersion(v Version) string {
	if v == TLS10 {
		return "TLSv1"
	}
	return fmt.Sprintf("TLSv%s", v)
}
