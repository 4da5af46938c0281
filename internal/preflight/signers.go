package preflight

import "slices"

// settleSigners says which keys sign, by what was found about each. A key that is
// definitely not published rightly doesn't sign while another one is, and a key on
// standby signs only in place of such a one: while no other of its algorithm signs, and
// unless it is itself known not to be published. Where no key is known to be valid, the
// others sign, too: whether the mail leaves is then for the prediction to say, and no
// answer of DNS is no reason to leave a key out.
func settleSigners(keys []KeyFact) {
	onlyStandby := true
	for i := range keys {
		k := &keys[i]
		k.Unused = k.Standby || k.Valid == No && k.Algorithm != ""
		onlyStandby = onlyStandby && k.Standby
	}
	for i := range keys {
		k := &keys[i]
		if k.Standby && !signsWith(keys, k.Algorithm) && (k.Valid == Yes || k.Valid == Maybe && leftOut(keys, k.Algorithm)) {
			k.Unused = false
		}
	}
	if signsValidly(keys) {
		return
	}
	for i := range keys {
		if !keys[i].Standby || onlyStandby {
			keys[i].Unused = false
		}
	}
}

// leftOut reports whether a key of that algorithm would sign, if it were published.
func leftOut(keys []KeyFact, algorithm string) bool {
	return slices.ContainsFunc(keys, func(k KeyFact) bool { return !k.Standby && k.Valid == No && k.Algorithm == algorithm })
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
