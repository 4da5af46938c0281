package sign

import (
	"fmt"
	"strings"
)

// CheckSelector says what keeps s from being a selector: one or more labels of
// letters, digits and inner hyphens, joined by dots (RFC 6376, section 3.1).
// Underscores are refused, too: they are no sub-domain syntax, and verifiers
// differ on them.
func CheckSelector(s string) error {
	if s == "" {
		return fmt.Errorf("empty selector")
	}
	if len(s) > 200 {
		return fmt.Errorf("selector of %d bytes leaves no room for the domain in a DNS name", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return fmt.Errorf("selector %q: want labels of letters, digits and inner hyphens, joined by dots", s)
		}
	}
	return nil
}

func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
