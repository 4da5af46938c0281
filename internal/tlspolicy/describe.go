package tlspolicy

import (
	"fmt"
	"strings"
	"time"
)

// words is the source as people say it.
func (s Source) words() string {
	switch s {
	case FromDANE:
		return "DANE"
	case FromMTASTS:
		return "MTA-STS"
	}
	return string(s)
}

// String explains the policy without times: "secure (MTA-STS enforce)".
func (p Policy) String() string { return p.Describe(time.Time{}) }

// Describe explains the policy in words, as it is at a time: "secure (MTA-STS
// enforce, fresh for 23 h)", "encrypt, at most TLS 1.2 (override for gmail.com:
// gateway 3.9 clashes with TLS 1.3; until 2027-03-31)". The end of an override is
// the last day it holds, in UTC.
func (p Policy) Describe(now time.Time) string {
	text := strings.Join(append([]string{p.Level.String()}, p.settings()...), ", ")
	text += " (" + strings.Join(p.reasons(now), "; ") + ")"
	return text
}

// settings are the parts beside the level.
func (p Policy) settings() (parts []string) {
	switch {
	case p.MinVersion != 0 && p.MinVersion == p.MaxVersion:
		parts = append(parts, "TLS "+p.MinVersion.String()+" only")
	case p.MinVersion != 0 && p.MaxVersion != 0:
		parts = append(parts, fmt.Sprintf("TLS %s to %s", p.MinVersion, p.MaxVersion))
	case p.MinVersion != 0:
		parts = append(parts, "at least TLS "+p.MinVersion.String())
	case p.MaxVersion != 0:
		parts = append(parts, "at most TLS "+p.MaxVersion.String())
	}
	switch len(p.Ciphers) {
	case 0:
	case 1:
		parts = append(parts, "only cipher "+p.Ciphers[0])
	default:
		parts = append(parts, fmt.Sprintf("only %d ciphers", len(p.Ciphers)))
	}
	if p.Curves == Classic {
		parts = append(parts, "no post-quantum key share")
	}
	if p.ServerName != "" {
		parts = append(parts, "server name "+p.ServerName)
	}
	return parts
}

// reasons say where the policy comes from, that of the level first, but for an
// override's: that has its own.
func (p Policy) reasons(now time.Time) (all []string) {
	switch {
	case p.LevelOf != "":
		all = append(all, "level of the override for "+p.LevelOf)
	case p.Source != FromOverride || p.Destination == "":
		all = append(all, p.levelReason(now))
	}
	if p.Testing {
		all = append(all, "MTA-STS testing"+fresh(p.Until, now))
	}
	if p.Destination != "" {
		all = append(all, p.overrideReason()...)
	} else if p.Origins.learned() {
		all = append(all, "learned: "+p.Reason)
	}
	if p.Raised != "" {
		all = append(all, p.Raised)
	}
	return all
}

func (o Origins) learned() bool { return o.Versions == FromLearned || o.Curves == FromLearned }

func (p Policy) levelReason(now time.Time) string {
	switch p.Source {
	case FromMTASTS:
		return "MTA-STS enforce" + fresh(p.Until, now)
	case FromDANE:
		return p.daneReason()
	}
	return p.Source.words()
}

func (p Policy) daneReason() string {
	switch {
	case p.Level == Encrypt:
		return "DANE: TLSA records exist, none is usable"
	case len(p.TLSA) > 0:
		return fmt.Sprintf("DANE: usable TLSA records: %d", len(p.TLSA))
	case p.Level == DANE:
		return "DANE: by the TLSA records of each MX host"
	}
	return "DANE: TLSA records"
}

func (p Policy) overrideReason() []string {
	text := "override for " + p.Destination
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	all := []string{text}
	if !p.Expires.IsZero() {
		all = append(all, "until "+p.Expires.Add(-1).UTC().Format(time.DateOnly))
	}
	return all
}

// fresh is ", fresh for 23 h"; nothing where no time is given.
func fresh(until, now time.Time) string {
	if now.IsZero() || until.IsZero() {
		return ""
	}
	switch left := until.Sub(now); {
	case left >= 48*time.Hour:
		return fmt.Sprintf(", fresh for %d d", left/(24*time.Hour))
	case left >= time.Hour:
		return fmt.Sprintf(", fresh for %d h", left/time.Hour)
	default:
		return fmt.Sprintf(", fresh for %d min", max(0, left/time.Minute))
	}
}

// String is what the override sets: "encrypt, at most TLS 1.2".
func (o *Override) String() string {
	p := Policy{MinVersion: o.MinVersion, MaxVersion: o.MaxVersion, Ciphers: o.Ciphers, Curves: o.Curves, ServerName: o.ServerName}
	parts := p.settings()
	if o.Level != 0 {
		parts = append([]string{o.Level.String()}, parts...)
	}
	if len(o.MatchNames) > 0 {
		parts = append(parts, "certificate for "+strings.Join(o.MatchNames, " or "))
	}
	return strings.Join(parts, ", ")
}
