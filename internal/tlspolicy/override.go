package tlspolicy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// Override is an administrator's policy for one destination.
type Override struct {
	// Destination is a recipient domain, ".example.net" for its sub-domains, a
	// next hop with brackets or a port, or "mx:" with the name of an MX host,
	// which may begin with "*.".
	Destination string
	Level       Level // zero: May
	MinVersion  Version
	MaxVersion  Version
	Curves      Curves
	ServerName  string
	MatchNames  []string
	Reason      string
	Expires     time.Time // from then on it has no effect; zero: never
}

// Expired reports whether the override has no effect any more.
func (o Override) Expired(now time.Time) bool {
	return !o.Expires.IsZero() && !now.Before(o.Expires)
}

// googleHosts returns the domains Google receives mail at. It answers 550 5.7.29
// to mail that comes without TLS.
func googleHosts() []mail.Domain {
	return []mail.Domain{"google.com", "googlemail.com", "gmail.com"}
}

// validate refuses settings that contradict each other, or what is known of the
// destination.
func (o Override) validate(t target) error {
	switch {
	case o.Level < 0 || o.Level > Secure:
		return fmt.Errorf("unknown level %d", o.Level)
	case !validVersion(o.MinVersion) || !validVersion(o.MaxVersion):
		return errors.New("unknown TLS version")
	case o.MaxVersion != 0 && o.MinVersion > o.MaxVersion:
		return fmt.Errorf("min_version %s is above max_version %s", o.MinVersion, o.MaxVersion)
	case o.Curves != AnyCurves && o.Curves != Classic:
		return fmt.Errorf("curves %q is not %q", o.Curves, Classic)
	case len(o.MatchNames) > 0 && o.Level != Verify && o.Level != Secure:
		return errors.New("names to match need level verify or secure")
	case o.Level == None && t.isGoogle():
		return errors.New("level none: Google answers 550 5.7.29 to mail without TLS")
	}
	return o.validateNames()
}

func validVersion(v Version) bool { return v == 0 || v >= TLS10 && v <= TLS13 }

// validateNames keeps anything out of names that would end the value in a
// Postfix policy.
func (o Override) validateNames() error {
	names := o.MatchNames
	if o.ServerName != "" {
		names = append(slices.Clone(names), o.ServerName)
	}
	for _, name := range names {
		if isAddress(name) {
			continue
		}
		if _, err := mail.ParseDomain(strings.TrimPrefix(name, ".")); err != nil {
			return fmt.Errorf("name %q: %w", name, err)
		}
	}
	return nil
}

// isGoogle tells targets that are certainly Google's.
func (t target) isGoogle() bool {
	name := mail.Domain(t.name)
	switch t.kind {
	case domainTarget:
		return slices.Contains(googleHosts(), name)
	case mxTarget, mxUnderTarget:
		return slices.ContainsFunc(googleHosts(), name.IsUnder)
	}
	return false
}

// policy is what the override demands for a destination.
func (o Override) policy(d Destination) Policy {
	p := Policy{
		Level:       o.Level,
		MinVersion:  o.MinVersion,
		MaxVersion:  o.MaxVersion,
		Curves:      o.Curves,
		ServerName:  o.ServerName,
		MatchNames:  o.MatchNames,
		Source:      FromOverride,
		Destination: o.Destination,
		Reason:      o.Reason,
		Expires:     o.Expires,
	}
	if o.Level == 0 {
		p.Level = May
	}
	if p.Level == Secure && len(p.MatchNames) == 0 {
		p.MatchNames = secureNames(d.name())
	}
	return p
}

// secureNames are the destination's own name and its sub-domains, as Postfix's
// strategies nexthop and dot-nexthop.
func secureNames(name string) []string {
	if isAddress(name) {
		return []string{name}
	}
	return []string{name, "." + name}
}
