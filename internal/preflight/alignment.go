package preflight

import "mailgate/internal/mail"

// aligned tells whether an authenticated domain stands for From: by RFC 9989's
// tree walk and by the public suffix list, because receivers differ in which they
// follow. Yes only if both say so.
func (t dmarcTree) aligned(from, authenticated mail.Domain, strict bool) Tri {
	switch {
	case authenticated == "":
		return No
	case from == authenticated:
		return Yes
	case strict || suffixOrganisation(from) != suffixOrganisation(authenticated):
		return No
	case !t.hasRecord(from):
		return Yes // no record, no tree walk to differ
	}
	ours, known := t.organisation(from)
	theirs, theirsKnown := t.organisation(authenticated)
	if !known || !theirsKnown {
		return Maybe
	}
	return triOf(ours == theirs)
}

// coveredBy tells whether a domain is aligned with From as far as the facts of a
// report tell, without DNS: for signatures that are on the message already.
func (f DMARCFact) coveredBy(from, authenticated mail.Domain) Tri {
	switch {
	case from == authenticated:
		return Yes
	case f.StrictDKIM || suffixOrganisation(from) != suffixOrganisation(authenticated):
		return No
	case f.Published == No:
		return Yes
	case f.TreeOrg == "":
		return Maybe
	}
	return triOf(authenticated.IsUnder(f.TreeOrg))
}
