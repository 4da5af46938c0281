package tlspolicy

import (
	"fmt"
	"slices"
)

// excused reports whether the override may go below what is demanded.
func (o *Override) excused() bool { return o.Reason != "" && !o.Expires.IsZero() }

// alone reports whether the override decides without a look at what is demanded.
func (o *Override) alone() bool {
	switch o.Level {
	case 0, DANE, DANEOnly:
		return false
	case Secure:
		return o.excused() && len(o.MatchNames) > 0
	}
	return o.excused()
}

// harmless reports whether the override can't be below anything.
func (o *Override) harmless() bool {
	return (o.Level == 0 || o.Level == DANE || o.Level == DANEOnly) && len(o.MatchNames) == 0
}

// below says what of the override is weaker than what is demanded, "" if nothing
// is. dane-only is never: it holds by itself.
func (o *Override) below(demanded Policy) string {
	if !demanded.demands() {
		return ""
	}
	switch {
	case o.asDemanded(demanded):
		if len(o.MatchNames) > 0 && demanded.Source == FromMTASTS {
			return "other names in the certificate than MTA-STS demands"
		}
		return ""
	case o.Level < demanded.Level && o.Level != DANEOnly:
		return fmt.Sprintf("level %s, where %s demands %s", o.Level, demanded.Source.words(), demanded.Level)
	}
	return ""
}

// demands reports whether the receiver's domain asks for more than the default.
func (p Policy) demands() bool { return p.Source == FromDANE || p.Source == FromMTASTS }

// asDemanded reports whether the override leaves the level as it is. At dane that
// is so wherever something is demanded: TLSA records decide, and without them
// what else there is.
func (o *Override) asDemanded(demanded Policy) bool {
	return o.Level == 0 || o.Level == demanded.Level || o.Level == DANE && demanded.demands()
}

// over puts the override over the policy p that would hold without it. demanded is
// what is demanded of the destination; validating says that TLSA records were looked
// for.
func (o *Override) over(d Destination, p, demanded Policy, validating bool) Policy {
	weaker := o.below(demanded)
	raised := weaker != "" && !o.excused()
	if !raised && !o.asDemanded(demanded) {
		p = o.own(d, validating)
	}
	if o.Level != 0 && !p.demands() {
		p.Source = FromOverride
	}
	p = o.overlay(p, raised)
	p.Destination, p.Reason, p.Expires, p.Raised = o.Destination, o.Reason, o.Expires, ""
	if raised {
		p.Raised = "the override asks for " + weaker + ", and gives no reason or no end"
	}
	if o.Level == None && !o.Anyway && slices.ContainsFunc(d.MX, atGoogle) {
		p.Level, p.Raised = May, "the override asks for "+errNoneToGoogle.Error()
	}
	if p.Level == Secure && len(p.MatchNames) == 0 {
		p.MatchNames, p.Origins.MatchNames = secureNames(d.name()), p.Source
	}
	return p
}

// own is the override's level, with nothing of what is demanded. Where TLSA records
// were looked for and there are none, dane is no more than may.
func (o *Override) own(d Destination, validating bool) Policy {
	p := Policy{Level: o.Level, Source: FromOverride}
	if o.Level == DANE && validating && d.Host != "" {
		p.Level = May
	}
	return p
}

// overlay changes all but the level; raised keeps the names as demanded.
func (o *Override) overlay(p Policy, raised bool) Policy {
	if o.MinVersion != 0 || o.MaxVersion != 0 {
		p.MinVersion, p.MaxVersion, p.Origins.Versions = o.MinVersion, o.MaxVersion, FromOverride
	}
	if len(o.Ciphers) > 0 {
		p.Ciphers, p.Origins.Ciphers = o.Ciphers, FromOverride
	}
	if o.Curves != AnyCurves {
		p.Curves, p.Origins.Curves = o.Curves, FromOverride
	}
	if o.ServerName != "" {
		p.ServerName, p.Origins.ServerName = o.ServerName, FromOverride
	}
	if len(o.MatchNames) > 0 && p.Level >= Verify && !raised {
		p.MatchNames, p.Origins.MatchNames = o.MatchNames, FromOverride
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
