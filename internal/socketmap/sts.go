package socketmap

import (
	"strings"

	"mailgate/internal/tlspolicy"
)

// appendSTS adds what Postfix since 3.10 wants to know of an MTA-STS policy
// (TLSRPT_README): which MX hosts it allows, and what to write into TLS reports.
// Older ones refuse a policy with these attributes, and so does every one if they
// are there without an MTA-STS policy. Postfix needs at least one policy_string
// and one mx_host_pattern beside policy_type=sts.
func appendSTS(b []byte, p tlspolicy.Policy, domain string) []byte {
	// In testing mode Postfix verifies nothing, and would report a success.
	if p.Source != tlspolicy.FromMTASTS || p.Testing || p.Level != tlspolicy.Secure || domain == "" {
		return b
	}
	// Names that the administrator wants to see in certificates are not the policy's.
	if p.Origins.MatchNames == tlspolicy.FromOverride || !plainPatterns(p.Hosts) {
		return b
	}
	b = append(b, " policy_type=sts policy_domain="...)
	b = append(b, domain...)
	for _, h := range p.Hosts {
		b = append(b, " mx_host_pattern="...)
		b = append(b, h...)
	}
	b = append(b, " { policy_string = version: STSv1 } { policy_string = mode: enforce }"...)
	for _, h := range p.Hosts {
		b = append(b, " { policy_string = mx: "...)
		b = append(b, h...)
		b = append(b, " }"...)
	}
	return b
}

// plainPatterns reports whether there are patterns, and nothing in them but names:
// they come from the destination's own policy, and a space would begin an attribute.
func plainPatterns(hosts []string) bool {
	for _, h := range hosts {
		name := strings.TrimPrefix(h, "*.")
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return len(hosts) > 0
}
