package mail

import (
	"errors"
	"fmt"
	"strings"
)

// ParsePath parses the argument of MAIL FROM or RCPT TO, with or without angle
// brackets; "" and "<>" give the null sender. Quoted local parts are unquoted, a
// source route is an error, and so are control characters, a missing domain
// (except for "postmaster") and anything that would not survive re-quoting.
// Dots that RFC 5321 wants quoted ("a..b@example.com") are taken, as such
// mailboxes exist, and come out quoted.
func ParsePath(s string) (Address, error) {
	bare, err := trimBrackets(s)
	if err != nil || bare == "" {
		return Address{}, err
	}
	if bare[0] == '@' {
		return Address{}, fmt.Errorf("path %s: source routes and empty local parts are not supported", quote(s))
	}
	local, rest, err := cutLocal(bare)
	if err != nil {
		return Address{}, fmt.Errorf("path %s: %w", quote(s), err)
	}
	domain, at := strings.CutPrefix(rest, "@")
	if rest != "" && !at {
		return Address{}, fmt.Errorf("path %s: %s after the local part must be within quotes", quote(s), quote(rest[:1]))
	}
	if at && domain == "" {
		return Address{}, fmt.Errorf("path %s: no domain after the @", quote(s))
	}
	return newAddress(local, domain)
}

func trimBrackets(s string) (string, error) {
	bare, open := strings.CutPrefix(s, "<")
	if !open {
		return s, nil
	}
	bare, closed := strings.CutSuffix(bare, ">")
	if !closed {
		return "", fmt.Errorf("path %s: < without >", quote(s))
	}
	return bare, nil
}

// cutLocal takes the local part, unquoted, from the front of s.
func cutLocal(s string) (local, rest string, err error) {
	if s[0] == '"' {
		return cutQuoted(s)
	}
	n := 0
	for n < len(s) && (isAtext(s[n]) || s[n] == '.') {
		n++
	}
	return s[:n], s[n:], nil
}

// cutQuoted takes a quoted string, unquoted, from the front of s, which begins
// with its first quote.
func cutQuoted(s string) (content, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errors.New("quoted string without an end")
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("quoted string without an end")
}
