package preflight

import "mailgate/internal/mail"

// mailing is what a rule's condition looks at: the facts, what the message adds,
// and who judges.
type mailing struct {
	by    Provider
	from  mail.Domain
	facts *Facts
	extra *Extra
}

// condition is a named three-valued predicate, or made of such.
type condition func(mailing) Tri

func not(c condition) condition { return func(m mailing) Tri { return c(m).Not() } }

func allOf(conditions ...condition) condition {
	return func(m mailing) Tri {
		result := Yes
		for _, c := range conditions {
			result = result.And(c(m))
		}
		return result
	}
}

func anyOf(conditions ...condition) condition {
	return func(m mailing) Tri {
		result := No
		for _, c := range conditions {
			result = result.Or(c(m))
		}
		return result
	}
}

// verifies tells whether the provider will verify a signature by the key.
func (m mailing) verifies(k KeyFact) Tri {
	switch {
	case m.extra.Unsigned:
		return No
	case m.by == Google && k.Algorithm == "ed25519":
		return No // Gmail does not verify Ed25519
	case k.Algorithm == "rsa" && k.Bits < 1024:
		return No // RFC 8301 section 3.2
	}
	return k.Valid
}

// dkimPasses: there is, or will be, a signature that verifies.
func dkimPasses(m mailing) Tri {
	return triOf(len(m.extra.Signature) > 0).Or(m.facts.anyKey(m.verifies))
}

// dkimAligned: there is, or will be, one that verifies and stands for From.
func dkimAligned(m mailing) Tri {
	aligned := m.facts.anyKey(func(k KeyFact) Tri { return m.verifies(k).And(k.Aligned) })
	for _, domain := range m.extra.Signature {
		aligned = aligned.Or(m.facts.DMARC.coveredBy(m.from, domain))
	}
	return aligned
}

// spfPasses: SPF gives pass whichever egress address the mail leaves from.
func spfPasses(m mailing) Tri { return m.facts.spfPasses() }

// spfAligned: SPF passes, for a domain that stands for From.
func spfAligned(m mailing) Tri { return m.facts.spfPasses().And(m.facts.SPF.Aligned) }

// spfFailsHard: SPF gives fail (-all) for an egress address.
func spfFailsHard(m mailing) Tri {
	result := No
	for _, a := range m.facts.SPF.Addresses {
		result = result.Or(a.Result.isFail())
	}
	if len(m.facts.SPF.Addresses) == 0 {
		return m.facts.SPF.Result.isFail()
	}
	return result
}

func (r SPFResult) isFail() Tri {
	if r.tri() == Maybe {
		return Maybe
	}
	return triOf(r == SPFFail)
}

// spfAllowsAll: the SPF record lets the whole world send.
func spfAllowsAll(m mailing) Tri { return m.facts.SPF.PlusAll }

// dmarcPublished: a DMARC policy covers From.
func dmarcPublished(m mailing) Tri { return m.facts.DMARC.Published }

// dmarcRejects: that policy is p=reject.
func dmarcRejects(m mailing) Tri {
	if m.facts.DMARC.Published != Yes {
		return m.facts.DMARC.Published
	}
	return triOf(m.facts.DMARC.Policy == PolicyReject)
}

// dmarcAligned: From is covered by a passing DKIM signature or SPF.
var dmarcAligned = anyOf(dkimAligned, spfAligned)

// sameOrganisation: DKIM or SPF is for From's organisation, passing or not.
func sameOrganisation(m mailing) Tri {
	keys := m.facts.anyKey(func(k KeyFact) Tri { return k.Aligned.And(triOf(!m.extra.Unsigned)) })
	return m.facts.SPF.Aligned.Or(keys).Or(dkimAligned(m))
}

// nameless4 and nameless6: an egress address of that family has no
// forward-confirmed name.
func nameless4(m mailing) Tri { return nameless(m, false) }
func nameless6(m mailing) Tri { return nameless(m, true) }

func nameless(m mailing, six bool) Tri {
	result := No
	for _, p := range m.facts.PTR {
		if p.Address.Is6() == six {
			result = result.Or(p.Confirmed.Not())
		}
	}
	return result
}

// spfFailsOver6: mail may leave over IPv6 from an address without an SPF pass.
func spfFailsOver6(m mailing) Tri {
	result := No
	for _, a := range m.facts.SPF.Addresses {
		if a.Address.Is6() {
			result = result.Or(a.Result.tri().Not())
		}
	}
	return result
}

// senderExists: the From and MAIL FROM domains are in a zone of the public DNS.
func senderExists(m mailing) Tri { return m.facts.SOA.From.And(m.facts.SOA.MailFrom) }
