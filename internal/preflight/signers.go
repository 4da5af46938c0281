package preflight

import "slices"

// settleSigners says which keys sign, by what was found about each. A key that is
// definitely not published rightly doesn't sign while another one is, and a key on
// standby signs only in place of such a one: while it is valid itself and no other of
// its algorithm signs. Where no key is known to be valid, all sign but those on standby:
// whether the mail leaves is then for the prediction to say, and no answer of DNS is no
// reason to leave a key out.
func settleSigners(keys []KeyFact) {
	for i := range keys {
		k := &keys[i]
		k.Unused = k.Standby || k.Valid == No && k.Algorithm != ""
	}
	for i := range keys {
		if k := &keys[i]; k.Standby && k.Valid == Yes && !signsWith(keys, k.Algorithm) {
			k.Unused = false
		}
	}
	if signsValidly(keys) {
		return
	}
	onlyStandby := true
	for i := range keys {
		keys[i].Unused = keys[i].Standby
		onlyStandby = onlyStandby && keys[i].Standby
	}
	for i := range keys {
		keys[i].Unused = keys[i].Unused && !onlyStandby
	}
}

// signsWith reports whether a key of that algorithm signs.
func signsWith(keys []KeyFact, algorithm string) bool {
	for _, k := range keys {
		if !k.Unused && k.Algorithm == algorithm {
			return true
		}
	}
	return false
}

func signsValidly(keys []KeyFact) bool {
	for _, k := range keys {
		if !k.Unused && k.Valid == Yes {
			return true
		}
	}
	return false
}

// markUnused marks the findings about keys that don't sign. That a key on standby isn't
// published does no harm to the mail.
func (r *Report) markUnused() {
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Check != DKIM {
			continue
		}
		for _, k := range r.Facts.DKIM {
			if !k.Unused || k.Selector != f.Selector {
				continue
			}
			f.Unused = true
			if k.Standby && f.Status == Fail {
				f.Status = Warn
			}
		}
	}
}

// asSigned returns the report without the findings about keys that don't sign, where
// those that do sign give the provider a signature that verifies: what is wrong with the
// others then is no reason of its answer.
func (r *Report) asSigned(m mailing) *Report {
	isUnused := func(f Finding) bool { return f.Unused }
	if dkimPasses(m) == No || !slices.ContainsFunc(r.Findings, isUnused) {
		return r
	}
	signed := *r
	signed.Findings = slices.DeleteFunc(slices.Clone(r.Findings), isUnused)
	return &signed
}

// Signing returns the selectors of the keys that sign, in the order of the identity's.
func (f Facts) Signing() []string {
	var selectors []string
	for _, k := range f.DKIM {
		if !k.Unused {
			selectors = append(selectors, k.Selector)
		}
	}
	return selectors
}
