package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 1035 2.3.4, in octets of the A-label form without the final dot.
const (
	maxDomain = 253
	maxLabel  = 63
)

// Domain is a mail domain or host name in the form DNS is asked: A-labels, lower
// case, no final dot. The zero value is "no domain".
type Domain string

// ParseDomain converts s (A-labels, U-labels or mixed case, with or without a
// final dot) to a Domain, by UTS 46 as browsers and mail servers do. Underscore
// labels are accepted; address literals, empty labels, over-long labels and
// names are errors, and so is a last label of digits, which is an IP address
// rather than a name.
func ParseDomain(s string) (Domain, error) {
	d, err := parseDomain(s)
	if err == nil {
		return d, nil
	}
	if what, meant := meantFor(s); meant != "" {
		err = fmt.Errorf("%s; did you mean %s?", what, meant)
	}
	return "", fmt.Errorf("domain %s: %w", quote(s), err)
}

func parseDomain(s string) (Domain, error) {
	d, err := toALabels(s)
	if err != nil {
		return "", err
	}
	d = strings.TrimSuffix(d, ".")
	return Domain(d), checkName(d)
}

// meantFor finds the domain in a mail address or URL that was given instead of one.
func meantFor(s string) (what string, meant Domain) {
	inside := ""
	if _, rest, found := strings.Cut(s, "://"); found {
		what = "a URL"
		inside, _, _ = strings.Cut(rest, "/")
		inside, _, _ = strings.Cut(inside, ":")
	} else if at := strings.LastIndexByte(s, '@'); at >= 0 {
		what, inside = "a mail address", strings.TrimSuffix(s[at+1:], ">")
	}
	d, err := parseDomain(inside)
	if err != nil {
		return "", ""
	}
	return what, d
}

// idnaProfile maps as for a look-up. Which characters and lengths a name may
// have is checkName's business, as DNS names with underscores are names too.
func idnaProfile() *idna.Profile {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false),
		idna.StrictDomainName(false), idna.CheckHyphens(false))
}

func toALabels(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("empty")
	case s[0] == '[':
		return "", errors.New("an address literal, a domain name is needed")
	case len(s) > 4*maxDomain:
		return "", errors.New("too long")
	case !utf8.ValidString(s):
		return "", errors.New("not valid UTF-8")
	}
	if isASCII(s) {
		if s = strings.ToLower(s); !hasACE(s) {
			return s, nil
		}
	}
	a, err := idnaProfile().ToASCII(s)
	if err != nil {
		return "", errors.New("not a valid internationalised name")
	}
	return a, nil
}

// hasACE reports whether a label of the lower-case name s claims to be an A-label.
func hasACE(s string) bool {
	return strings.HasPrefix(s, "xn--") || strings.Contains(s, ".xn--")
}

func checkName(s string) error {
	if s == "" {
		return errors.New("empty")
	}
	if len(s) > maxDomain {
		return fmt.Errorf("longer than %d octets", maxDomain)
	}
	label := s
	for rest, more := s, true; more; {
		label, rest, more = strings.Cut(rest, ".")
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	if strings.Trim(label, "0123456789") == "" {
		return errors.New("an IP address, a domain name is needed")
	}
	return nil
}

func checkLabel(s string) error {
	switch {
	case s == "":
		return errors.New("an empty label")
	case len(s) > maxLabel:
		return fmt.Errorf("a label longer than %d octets", maxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return errors.New("a label that begins or ends with a hyphen")
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return fmt.Errorf("a character that is not allowed: %s", quote(s[i:i+1]))
		}
	}
	return nil
}

// Unicode returns d for people to read, with U-labels where they are valid.
func (d Domain) Unicode() string {
	if !hasACE(string(d)) {
		return string(d)
	}
	u, err := idnaProfile().ToUnicode(string(d))
	if err != nil {
		return string(d)
	}
	return u
}

// IsUnder reports whether d is parent or one of its sub-domains. Nothing is
// under the zero Domain.
func (d Domain) IsUnder(parent Domain) bool {
	if parent == "" || !strings.HasSuffix(string(d), string(parent)) {
		return false
	}
	return len(d) == len(parent) || d[len(d)-len(parent)-1] == '.'
}

// Parent returns d without its first label, "" for a single label.
func (d Domain) Parent() Domain {
	_, parent, _ := strings.Cut(string(d), ".")
	return Domain(parent)
}
