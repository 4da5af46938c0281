package preflight

import (
	"context"
	"slices"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// dmarcCheck is what was found about DMARC.
type dmarcCheck struct {
	findings []Finding
	fact     DMARCFact
	dkim     map[mail.Domain]Tri // d= of our keys → aligned
	spf      Tri                 // the SPF domain is aligned
}

// discovery is the record one of the two RFCs finds for From.
type discovery struct {
	found  Tri
	domain mail.Domain // whose record it is
	policy Policy      // as it applies to From
	record dmarcRecord
}

// checkDMARC finds the policy for From by both RFCs, and who is aligned with it.
func (q *inquiry) checkDMARC(ctx context.Context) dmarcCheck {
	from, spfDomain := q.id.From, q.id.spfDomain()
	domains := []mail.Domain{from}
	for _, k := range q.id.Keys {
		domains = append(domains, k.Domain)
	}
	if spfDomain != "" {
		domains = append(domains, spfDomain)
	}
	tree := q.climb(ctx, domains)
	missing := q.recursive(ctx, string(from), "SOA").Status == dnsview.NXDomain // as RFC 8020 means it; np= hangs on it
	old, now := tree.discover7489(from), tree.discover9989(from, missing)

	c := dmarcCheck{dkim: map[mail.Domain]Tri{}}
	c.fact = combine(old, now)
	c.fact.SuffixOrg = suffixOrganisation(from)
	organisation, known := tree.organisation(from)
	if known {
		c.fact.TreeOrg = organisation
	}
	for _, k := range q.id.Keys {
		c.dkim[k.Domain] = tree.aligned(from, k.Domain, c.fact.StrictDKIM)
	}
	c.spf = tree.aligned(from, spfDomain, c.fact.StrictSPF)
	c.findings = q.describeDMARC(ctx, tree, old, now, c.fact)
	return c
}

// discover7489 finds the record of From, or else of its organisational domain by
// the public suffix list. RFC 7489 section 6.6.3.
func (t dmarcTree) discover7489(from mail.Domain) discovery {
	d := t.applied(from, from, false)
	if organisation := suffixOrganisation(from); d.found == No && len(t[from].texts) == 0 && organisation != from {
		d = t.applied(from, organisation, false)
	}
	return d
}

// discover9989 finds the record of From, of its organisational domain by the tree
// walk, or of the public suffix over it. RFC 9989 section 4.10.1.
func (t dmarcTree) discover9989(from mail.Domain, missing bool) discovery {
	d := t.applied(from, from, missing)
	organisation, known := t.organisation(from)
	if d.found == No && !known {
		return discovery{}
	}
	if d.found == No && organisation != from {
		d = t.applied(from, organisation, missing)
	}
	if suffix, found := t.publicSuffixPolicy(from); d.found == No && found {
		d = t.applied(from, suffix, missing)
	}
	return d
}

// applied returns the record at domain as it applies to From; missing tells that
// From does not exist in DNS.
func (t dmarcTree) applied(from, domain mail.Domain, missing bool) discovery {
	entry := t[domain]
	d := discovery{domain: domain, record: entry.record}
	switch {
	case !entry.known:
		return d
	case !entry.usable():
		d.found = No
		return d
	}
	d.found, d.policy = Yes, entry.record.Policy
	switch r := entry.record; {
	case domain == from:
	case missing && r.NonExistent != "":
		d.policy = r.NonExistent
	case r.SubPolicy != "":
		d.policy = r.SubPolicy
	}
	return d
}

// combine makes one fact of two discoveries: the stricter policy counts.
func combine(old, now discovery) DMARCFact {
	f := DMARCFact{Published: old.found.Or(now.found)}
	stricter := now
	if old.policy.strictness() > now.policy.strictness() {
		stricter = old
	}
	if f.Published == Yes && old.found.And(now.found) == Maybe && stricter.policy != PolicyReject {
		f.Published = Maybe // the other may yet be stricter
	}
	if f.Published == Yes {
		f.Policy, f.Domain = stricter.policy, stricter.domain
		f.StrictDKIM = old.found == Yes && old.record.StrictDKIM || now.found == Yes && now.record.StrictDKIM
		f.StrictSPF = old.found == Yes && old.record.StrictSPF || now.found == Yes && now.record.StrictSPF
	}
	return f
}

func (p Policy) strictness() int {
	return slices.Index([]Policy{PolicyNone, PolicyQuarantine, PolicyReject}, p)
}
