package tlspolicy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"mailgate/internal/mail"
)

// Destination is where a message goes. At least one of Domain and NextHop is
// set.
type Destination struct {
	Domain  mail.Domain   // recipient domain
	NextHop string        // where mail is sent instead of to Domain's MX, as ParseNextHop gives it
	MX      []mail.Domain // MX hosts; empty while they aren't known
	Host    mail.Domain   // the one of MX, or the host of NextHop, that is being connected to; empty: not connected yet
}

// ParseNextHop reads a next hop as Postfix writes it: a recipient domain gives a
// Destination with Domain, "[mx.example.net]:587" and "example.net:587" give one
// with NextHop, in lower case and without the SMTP port.
func ParseNextHop(s string) (Destination, error) {
	host, port, bracketed, err := splitNextHop(s)
	if err != nil {
		return Destination{}, fmt.Errorf("next hop %q: %w", s, err)
	}
	if !bracketed && port == "" {
		return Destination{Domain: mail.Domain(host)}, nil
	}
	if bracketed {
		host = "[" + host + "]"
	}
	return Destination{NextHop: host + port}, nil
}

// splitNextHop returns the host in lower case and the port with its colon, ""
// for the SMTP port.
func splitNextHop(s string) (host, port string, bracketed bool, err error) {
	s = strings.ToLower(s)
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if !ok {
			return "", "", true, fmt.Errorf("missing ]")
		}
		if !isAddress(host) {
			host, err = domainString(host)
		}
		bracketed = true
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			s, port = s[:i], s[i:]
		}
		host, err = domainString(s)
	}
	if err == nil {
		port, err = normalPort(port)
	}
	return host, port, bracketed, err
}

func domainString(s string) (string, error) {
	d, err := mail.ParseDomain(s)
	return string(d), err
}

// isAddress tells an IP address, with or without the ipv6: of an address
// literal.
func isAddress(s string) bool {
	// For a name, ParseAddr would make an error: one has no colon, and seldom ends in a
	// digit.
	if s == "" || strings.IndexByte(s, ':') < 0 && (s[len(s)-1] < '0' || s[len(s)-1] > '9') {
		return false
	}
	_, err := netip.ParseAddr(strings.TrimPrefix(s, "ipv6:"))
	return err == nil
}

// normalPort returns ":587" or ":submission", and "" for the SMTP port.
func normalPort(port string) (string, error) {
	if port == "" || port == ":smtp" {
		return "", nil
	}
	name, ok := strings.CutPrefix(port, ":")
	if n, err := strconv.ParseUint(name, 10, 16); ok && err == nil && n > 0 {
		if n == smtpPort {
			return "", nil
		}
		return ":" + strconv.FormatUint(n, 10), nil
	}
	if !ok || !isService(name) {
		return "", fmt.Errorf("%q is not a port", port)
	}
	return port, nil
}

const smtpPort = 25

// isService tells a service name: it begins with a letter (stricter than RFC
// 6335, so that no number passes for one).
func isService(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.Trim(s, letters+"0123456789-") == "" && strings.Contains(letters, s[:1])
}

// name is the host a certificate must name at level secure.
func (d Destination) name() string {
	if d.NextHop == "" {
		return string(d.Domain)
	}
	host, _, _, err := splitNextHop(d.NextHop)
	if err != nil {
		return string(d.Domain)
	}
	return strings.TrimPrefix(host, "ipv6:")
}
