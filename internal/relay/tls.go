package relay

import (
	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// unkept says that a policy demands what can't be had yet: the mail waits, rather
// than leave with less.
func unkept(p tlspolicy.Policy, d mail.Domain) *trouble {
	if p.Level != tlspolicy.DANE && p.Level != tlspolicy.DANEOnly {
		return nil
	}
	return later("4.7.5", "the TLS policy of %s is %s, and the relay can't check TLSA records: choose encrypt, verify or secure", d, p.Level)
}
