package tlspolicy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mjl-/mox/mtasts"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// stsPolicy is a domain's MTA-STS policy (RFC 8461, section 3.2).
type stsPolicy struct {
	mode    mtasts.Mode
	mx      []string // "mx.example.net", "*.example.net"
	maxAge  time.Duration
	text    string
	id      string // of the TXT record it was fetched for
	fetched time.Time
	expires time.Time
}

const (
	maxSTSText = 64 << 10
	maxSTSAge  = 31557600 * time.Second // a year, the longest that RFC 8461 allows
)

// parseSTS reads a policy as it is served.
func parseSTS(text string) (*stsPolicy, error) {
	if len(text) > maxSTSText {
		return nil, fmt.Errorf("MTA-STS policy is longer than %d KiB", maxSTSText>>10)
	}
	parsed, err := mtasts.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("read MTA-STS policy: %w", err)
	}
	if len(parsed.MX) > maxSTSHosts {
		return nil, fmt.Errorf("MTA-STS policy lists more than %d MX hosts", maxSTSHosts)
	}
	p := &stsPolicy{mode: parsed.Mode, text: text, maxAge: min(time.Duration(parsed.MaxAgeSeconds)*time.Second, maxSTSAge)}
	for _, mx := range parsed.MX {
		host, err := mail.ParseDomain(mx.Domain.ASCII)
		if err != nil {
			return nil, fmt.Errorf("read MTA-STS policy: mx: %w", err)
		}
		if mx.Wildcard {
			p.mx = append(p.mx, "*."+string(host))
		} else {
			p.mx = append(p.mx, string(host))
		}
	}
	return p, nil
}

var (
	errNoSTS      = errors.New("no MTA-STS record")
	errSeveralSTS = errors.New("several MTA-STS records")
)

// stsID returns the id of a domain's one record (RFC 8461, section 3.1).
func stsID(a dnsview.Answer) (string, error) {
	switch a.Status {
	case dnsview.Unknown:
		return "", errors.New(fault(a))
	case dnsview.NoData, dnsview.NXDomain:
		return "", errNoSTS
	}
	id := ""
	for _, text := range a.Texts() {
		record, is, err := mtasts.ParseRecord(text)
		switch {
		case !is:
			continue
		case err != nil:
			return "", fmt.Errorf("read MTA-STS record: %w", err)
		case id != "":
			return "", errSeveralSTS
		}
		id = record.ID
	}
	if id == "" {
		return "", errNoSTS
	}
	return id, nil
}

// ended reports whether the policy holds no more.
func (p *stsPolicy) ended(now time.Time) bool { return p == nil || !now.Before(p.expires) }

// due reports whether the policy is to be fetched again although its id is the same.
func (p *stsPolicy) due(now time.Time) bool {
	return p != nil && !now.Before(p.expires.Add(-min(p.maxAge/2, 3*24*time.Hour)))
}

// policy is what it demands.
func (p *stsPolicy) policy() Policy {
	switch p.mode {
	case mtasts.ModeEnforce:
		return Policy{Level: Secure, Hosts: p.mx, MatchNames: postfixPatterns(p.mx), Source: FromMTASTS,
			Origins: Origins{MatchNames: FromMTASTS}, Until: p.expires}
	case mtasts.ModeTesting:
		d := defaultPolicy()
		d.Testing, d.TestHosts, d.Until = true, p.mx, p.expires
		return d
	}
	return defaultPolicy()
}

// postfixPatterns writes "*.example.net" as ".example.net".
func postfixPatterns(mx []string) (names []string) {
	for _, pattern := range mx {
		names = append(names, strings.TrimPrefix(pattern, "*"))
	}
	return names
}
