package sign

import "mailgate/internal/mail"

// DomainKeys is one [[domain]] of the configuration.
type DomainKeys struct {
	Pattern    string      // "example.com" or "*.example.com"
	SignAs     mail.Domain // d= ; zero: the From domain itself, for a wildcard the parent
	SubDomains bool        // sub-domains of Pattern sign as Pattern
	Keys       []Key
}

// Keyring says which keys sign mail From which domain. It is immutable and safe
// for concurrent use.
type Keyring struct{}

// NewKeyring checks the domains and their keys and indexes them.
func NewKeyring(domains []DomainKeys) (*Keyring, error) { return nil, nil }

// For returns all keys that sign mail From this domain; none when it isn't ours.
func (r *Keyring) For(from mail.Domain) []Key { return nil }

// Domains lists the configured domains, sorted.
func (r *Keyring) Domains() []mail.Domain { return nil }
