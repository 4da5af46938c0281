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
	Destination string   `json:"destination"`
	Level       Level    `json:"level,omitzero"` // zero: as DANE, MTA-STS or the default has it; the rest is changed
	MinVersion  Version  `json:"min_version,omitempty"`
	MaxVersion  Version  `json:"max_version,omitempty"`
	Ciphers     []string `json:"ciphers,omitempty"` // suites for TLS 1.2 and below by their IANA names
	Curves      Curves   `json:"curves,omitempty"`
	ServerName  string   `json:"server_name,omitempty"`
	MatchNames  []string `json:"match_names,omitempty"`

	// Without Reason and Expires an override can't go below what DANE or MTA-STS
	// demand.
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // from then on it has no effect; zero: never

	// Anyway lets it be none for a receiver that is known to refuse mail without TLS.
	Anyway bool `json:"anyway,omitempty"`

	RunTime bool      `json:"run_time,omitempty"` // made by a command, not by the configuration
	Actor   string    `json:"actor,omitempty"`    // who made it, at run time
	Since   time.Time `json:"since,omitzero"`     // when, at run time
}

// Expired reports whether the override has no effect any more.
func (o *Override) Expired(now time.Time) bool {
	return !o.Expires.IsZero() && !now.Before(o.Expires)
}

// googleHosts returns the domains Google receives mail at. It answers 550 5.7.29
// to mail that comes without TLS.
func googleHosts() []mail.Domain {
	return []mail.Domain{"google.com", "googlemail.com", "gmail.com"}
}

// validate refuses settings that contradict each other, or what is known of the
// destination.
func (o *Override) validate(t target) error {
	switch {
	case o.Level < 0 || o.Level > Secure:
		return fmt.Errorf("unknown level %d", o.Level)
	case !validVersion(o.MinVersion) || !validVersion(o.MaxVersion):
		return errors.New("unknown TLS version")
	case o.MaxVersion != 0 && o.MinVersion > o.MaxVersion:
		return fmt.Errorf("min_version %s is above max_version %s", o.MinVersion, o.MaxVersion)
	case o.Curves != AnyCurves && o.Curves != Classic:
		return fmt.Errorf("curves %q is not %q", o.Curves, Classic)
	case len(o.MatchNames) > 0 && o.Level != 0 && o.Level != Verify && o.Level != Secure:
		return errors.New("names to match need level verify or secure")
	case o.Level == None && !o.Anyway && t.isGoogle():
		return errNoneToGoogle
	case o.Level == 0 && !o.changes():
		return errors.New("it sets nothing: name a level, versions, ciphers, curves or names")
	}
	if err := checkCiphers(o.Ciphers); err != nil {
		return err
	}
	return o.validateNames()
}

var errNoneToGoogle = errors.New("level none: Google answers 550 5.7.29 to mail without TLS")

// changes reports whether anything but the level is set.
func (o *Override) changes() bool {
	return o.MinVersion != 0 || o.MaxVersion != 0 || len(o.Ciphers) > 0 || o.Curves != AnyCurves ||
		o.ServerName != "" || len(o.MatchNames) > 0
}

func validVersion(v Version) bool { return v == 0 || v >= TLS10 && v <= TLS13 }

// validateNames keeps anything out of names that would end the value in a
// Postfix policy.
func (o *Override) validateNames() error {
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
		return atGoogle(name)
	case nextHopTarget:
		return Destination{NextHop: t.name}.atGoogle()
	}
	return false
}

// atGoogle tells destinations at which Google receives, as far as is known of them.
func (d Destination) atGoogle() bool {
	if d.NextHop == "" {
		return slices.Contains(googleHosts(), d.Domain) || slices.ContainsFunc(d.MX, atGoogle)
	}
	host, _, _, err := splitNextHop(d.NextHop)
	return err == nil && atGoogle(mail.Domain(host))
}

// atGoogle tells an MX host of Google's.
func atGoogle(host mail.Domain) bool { return slices.ContainsFunc(googleHosts(), host.IsUnder) }
