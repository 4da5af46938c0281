package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// maxDuration bounds every duration of the configuration.
const maxDuration = 365 * 24 * time.Hour

// ParseDuration reads Go's durations, days before them: "90s", "5d", "1d12h".
// Zero, negative ones and ones over a year are errors.
func ParseDuration(s string) (time.Duration, error) {
	d, ok := parseDuration(s, maxDuration)
	if !ok {
		return 0, fmt.Errorf(`%s is no duration: want one above 0 and up to 365d, as "90s", "12h" or "5d"`, shown(s))
	}
	return d, nil
}

// parseDuration does so with a bound of choice.
func parseDuration(s string, most time.Duration) (d time.Duration, ok bool) {
	days, rest, found := strings.Cut(s, "d")
	if found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, false
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		rest = s
	}
	if rest != "" || !found {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 || more > most {
			return 0, false
		}
		d += more
	}
	return d, d > 0 && d <= most
}

// parseInterval is ParseDuration for what is done again and again: a second at
// least.
func parseInterval(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err == nil && d < time.Second {
		return 0, fmt.Errorf("%s is too often: want 1s or more", shown(s))
	}
	return d, err
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return a, fmt.Errorf(`%s is no IP address, as "203.0.113.9" or "2001:db8::9"`, shown(s))
	case a.Zone() != "":
		return a, fmt.Errorf("%s has a zone, which no public address has", shown(s))
	case a.IsUnspecified() || a.IsMulticast():
		return a, fmt.Errorf("%s is no address that mail can leave from", shown(s))
	}
	return a.Unmap(), nil
}

// parsePrefix reads a network; a bare address is a network of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf(`%s is no network, as "192.0.2.0/24", "2001:db8::/32" or a bare address`, shown(s))
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has bits beside its mask; write %s or %s", p, p.Masked(), p.Addr())
	}
	return p, nil
}

func parseTLSVersion(s string) (uint16, error) {
	switch s {
	case "1.0":
		return tls.VersionTLS10, nil
	case "1.1":
		return tls.VersionTLS11, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf(`%s is no TLS version: want "1.0", "1.1", "1.2" or "1.3"`, shown(s))
}

// parseDestination normalises the destination of a TLS override.
func parseDestination(s string) (string, error) {
	prefix, name := "", s
	if host, ok := strings.CutPrefix(s, "mx:"); ok {
		prefix, name = "mx:", host
		if parent, ok := strings.CutPrefix(host, "*."); ok {
			prefix, name = "mx:*.", parent
		}
	} else if parent, ok := strings.CutPrefix(s, "."); ok {
		prefix, name = ".", parent
	}
	if prefix == "" && strings.ContainsAny(s, "[:") {
		return parseNextHop(s)
	}
	d, err := mail.ParseDomain(name)
	if err != nil {
		return "", fmt.Errorf(`%w; want "example.com", ".example.com" for its sub-domains, "[smtp.example.com]:587" for a next hop, or "mx:*.example.com"`, err)
	}
	return prefix + string(d), nil
}

// parseNextHop normalises a next hop with brackets or a port, as Postfix writes it.
func parseNextHop(s string) (string, error) {
	host, port, bracketed := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, bracketed = strings.Cut(rest, "]")
	} else {
		host, port, _ = strings.Cut(s, ":")
		port = ":" + port
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16); port != "" && (err != nil || n == 0 || port[0] != ':') {
		return "", fmt.Errorf(`%s is no next hop: want "[smtp.example.com]:587"`, shown(s))
	}
	if a, err := netip.ParseAddr(host); err == nil && bracketed {
		return "[" + a.String() + "]" + port, nil
	}
	d, err := mail.ParseDomain(host)
	if err != nil {
		return "", fmt.Errorf(`%w; want "[smtp.example.com]:587"`, err)
	}
	if bracketed {
		return "[" + string(d) + "]" + port, nil
	}
	return string(d) + port, nil
}

// parseMode reads a permission in octal, as chmod takes it.
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf(`%s is no permission in octal, as "0660"`, shown(s))
	}
	return fs.FileMode(n), nil
}

// checkPath refuses what no path of a file holds.
func checkPath(s string) error {
	switch {
	case s == "":
		return errors.New("is empty: want a path")
	case strings.ContainsAny(s, "\x00\r\n"):
		return errors.New("holds a NUL or a line end")
	case strings.HasSuffix(s, "/"):
		return errors.New("names a directory: want a file")
	}
	return nil
}

func printablePath(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
