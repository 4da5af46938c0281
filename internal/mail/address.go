package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPath is the longest path without its brackets (RFC 5321 4.5.3.1.3), in
// octets. The 64 octets of 4.5.3.1.1 are not held against a local part: senders
// that encode the recipient in it (VERP, SRS) exceed them daily.
const maxPath = 254

// Address is one mailbox: a local part, unquoted, and a domain. The zero value is
// the null sender <>. Addresses are compared with ==; the case of a local part
// matters.
type Address struct {
	Local  string
	Domain Domain
}

// ParseUnquoted builds an Address from a local part whose quotes have been taken
// away, "@" and a domain, as some SMTP libraries hand it over. The last "@"
// divides the two. "" is the null sender.
func ParseUnquoted(s string) (Address, error) {
	if s == "" {
		return Address{}, nil
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return newAddress(s, "")
	}
	return newAddress(s[:at], s[at+1:])
}

// newAddress checks an unquoted local part and a domain as written.
func newAddress(local, domain string) (Address, error) {
	if err := checkLocal(local); err != nil {
		return Address{}, err
	}
	if domain == "" {
		if strings.EqualFold(local, "postmaster") { // RFC 5321 4.1.1.3
			return Address{Local: local}, nil
		}
		return Address{}, fmt.Errorf("address %s has no domain", quote(local))
	}
	d, err := ParseDomain(domain)
	if err != nil {
		return Address{}, err
	}
	a := Address{Local: local, Domain: d}
	if n := len(a.String()); n > maxPath {
		return Address{}, fmt.Errorf("address of %d octets, at most %d are allowed", n, maxPath)
	}
	return a, nil
}

func checkLocal(s string) error {
	switch {
	case s == "":
		return errors.New("empty local part")
	case len(s) > maxPath:
		return errors.New("local part too long")
	case !utf8.ValidString(s):
		return errors.New("local part is not valid UTF-8")
	}
	for _, r := range s {
		if !isAddressRune(r) {
			return fmt.Errorf("local part %s holds a control or invisible character", quote(s))
		}
	}
	return nil
}

// String gives the address as it is written in SMTP, without angle brackets: the
// local part quoted where it must be, the domain in A-labels.
func (a Address) String() string {
	local := a.Local
	if !isDotAtom(local) && !a.IsNull() {
		local = quoteLocal(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + string(a.Domain)
}

// isDotAtom reports whether s needs no quotes (RFC 5321 Dot-string).
func isDotAtom(s string) bool {
	dot := true // where a dot, or the end, may not stand
	for i := range len(s) {
		switch {
		case s[i] == '.' && !dot:
			dot = true
		case isAtext(s[i]):
			dot = false
		default:
			return false
		}
	}
	return !dot
}

func quoteLocal(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// IsNull reports whether a is the null sender.
func (a Address) IsNull() bool { return a == Address{} }

// NeedsUTF8 reports whether the address can be sent only with SMTPUTF8.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// MarshalText gives String; the null sender is empty.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what ParsePath reads.
func (a *Address) UnmarshalText(text []byte) error {
	parsed, err := ParsePath(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
