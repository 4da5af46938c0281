package mail

// Address is one mailbox: a local part, unquoted, and a domain. The zero value is
// the null sender <>.
type Address struct {
	Local  string
	Domain Domain
}

// ParsePath parses the argument of MAIL FROM or RCPT TO, with or without angle
// brackets; "" and "<>" give the null sender. Quoted local parts are unquoted, a
// source route is an error, and so are control characters, a missing domain
// (except for "postmaster") and anything that would not survive re-quoting.
func ParsePath(s string) (Address, error) { return Address{}, nil }

// String gives the address as it is written in SMTP, without angle brackets: the
// local part quoted where it must be, the domain in A-labels.
func (a Address) String() string { return a.Local + "@" + string(a.Domain) }

// IsNull reports whether a is the null sender.
func (a Address) IsNull() bool { return a == Address{} }

// NeedsUTF8 reports whether the address can be sent only with SMTPUTF8.
func (a Address) NeedsUTF8() bool { return false }

// MarshalText gives String.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (a *Address) UnmarshalText(text []byte) error { return nil }
