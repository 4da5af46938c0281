package tlspolicy

import "fmt"

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
	return (o.Level == 0 || o.Level == DANE || o.Level == DANEOnly) && len(o.MatchNames) == 0 && o.weakness() == ""
}

// below says what of the override is weaker than what is demanded, "" if nothing
// is.
func (o *Override) below(demanded Policy) string {
	what := ""
	switch {
	case !demanded.demands():
		return ""
	case o.lower(demanded):
		what = "level " + o.Level.String()
	case o.asDemanded(demanded) && len(o.MatchNames) > 0 && demanded.Source == FromMTASTS:
		return "other names in the certificate than MTA-STS demands"
	default:
		what = o.weakness()
	}
	if what == "" {
		return ""
	}
	return fmt.Sprintf("%s, where %s demands %s", what, demanded.Source.words(), demanded.Level)
}

// lower compares the levels. dane-only is never lower: it holds by itself. verify and
// secure are lower than TLSA records, which name the certificate or its issuer.
func (o *Override) lower(demanded Policy) bool {
	switch {
	case o.asDemanded(demanded) || o.Level == DANEOnly:
		return false
	case demanded.Source == FromDANE && demanded.Level == DANE && !demanded.usable: // perhaps none has records
		return o.Level < Encrypt
	case demanded.Source == FromDANE && demanded.Level > Encrypt:
		return true
	}
	return o.Level < demanded.Level
}

// weakness says which versions or ciphers of the override are weaker than those in
// force without it, "" if none are.
func (o *Override) weakness() string {
	if lowest := o.oldest(); lowest != 0 {
		return "TLS " + lowest.String()
	}
	if name := insecure(o.Ciphers); name != "" {
		return "cipher " + name
	}
	return ""
}

// oldest is the lowest version the override lets in, zero where that is none below
// TLS 1.2 (RFC 9325, section 3.1.1).
func (o *Override) oldest() Version {
	lowest, _ := Policy{MinVersion: o.MinVersion, MaxVersion: o.MaxVersion}.Versions()
	if lowest < TLS12 {
		return lowest
	}
	return 0
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
	if raised && p.Level == DANE && o.Level >= Encrypt && !o.asDemanded(demanded) {
		p.Level = DANEOnly // at dane, hosts without records would get less than the override asks for
	}
	if o.Level != 0 && !p.demands() {
		p.Source = FromOverride
	}
	p = o.overlay(p, raised)
	p.Destination, p.Reason, p.Expires, p.Raised = o.Destination, o.Reason, o.Expires, ""
	if raised {
		p.Raised = "the override asks for " + weaker + ", and gives no reason or no end"
	}
	if o.Level == None && !o.Anyway && d.atGoogle() {
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

// overlay changes all but the level; raised keeps names, versions and ciphers from
// being weaker than demanded.
func (o *Override) overlay(p Policy, raised bool) Policy {
	if (o.MinVersion != 0 || o.MaxVersion != 0) && (!raised || o.oldest() == 0) {
		p.MinVersion, p.MaxVersion, p.Origins.Versions = o.MinVersion, o.MaxVersion, FromOverride
	}
	if len(o.Ciphers) > 0 && (!raised || insecure(o.Ciphers) == "") {
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
