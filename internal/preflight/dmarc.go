package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	c.findings = q.describeDMARC(tree, old, now, c.fact)
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

// describeDMARC makes the findings about records; those about alignment follow
// when DKIM and SPF are known.
func (q *inquiry) describeDMARC(tree dmarcTree, old, now discovery, fact DMARCFact) []Finding {
	if fact.Published == Maybe {
		for _, name := range walkNames(q.id.From) {
			if !tree[name].known {
				return []Finding{unreachable(DMARC, tree[name].answer)}
			}
		}
	}
	if fact.Published == No {
		return []Finding{q.noUsableDMARC(tree)}
	}
	entry := tree[fact.Domain]
	f := Finding{
		Check: DMARC, Code: "dmarc-ok", Status: Pass, Name: "_dmarc." + string(fact.Domain),
		Record: entry.texts[0], Text: describePolicy(q.id.From, fact, entry.record), Evidence: evidence(entry.answer),
	}
	if len(entry.record.Problems) > 0 {
		f.Code, f.Status = "dmarc-syntax", Warn
		f.Text += " " + capital(strings.Join(entry.record.Problems, "; ")) + "."
	}
	findings := []Finding{f}
	census := takeCensus(entry.answer, func(texts []string) bool { return slices.Contains(texts, entry.texts[0]) })
	if f, disagree := census.disagreement(DMARC, entry.answer); disagree {
		f.Status = Warn
		findings = append(findings, f)
	}
	if f, differ := orgDomainsDiffer(q.id.From, old, now, fact); differ {
		findings = append(findings, f)
	}
	return findings
}

func describePolicy(from mail.Domain, fact DMARCFact, r dmarcRecord) string {
	text := "p=" + string(fact.Policy)
	if fact.Domain != from {
		text += " for " + string(from) + ", from the record of " + string(fact.Domain)
	}
	if r.Testing {
		text += "; t=y asks receivers to be one step milder, which older ones don't know"
	}
	return text + "."
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// noUsableDMARC says why there is no record that counts.
func (q *inquiry) noUsableDMARC(tree dmarcTree) Finding {
	from := q.id.From
	f := Finding{Check: DMARC, Code: "dmarc-missing", Status: Warn, Name: "_dmarc." + string(from)}
	f.Text = string(from) + " has no DMARC record" + whoWasAsked(tree[from].answer) + "."
	f.Evidence = evidence(tree[from].answer)
	for _, domain := range distinct(string(from), string(suffixOrganisation(from))) {
		entry := tree[mail.Domain(domain)]
		meant := slices.IndexFunc(entry.answer.Texts(), looksLikeDMARC)
		if meant < 0 {
			continue
		}
		f.Name, f.Record, f.Status = "_dmarc."+domain, entry.answer.Records[meant].Text, Fail
		f.Evidence = evidence(entry.answer)
		if len(entry.texts) > 1 {
			f.Code = "dmarc-several-records"
			f.Text = fmt.Sprintf("There are %d DMARC records at _dmarc.%s, so receivers take none of them.", len(entry.texts), domain)
			return f
		}
		f.Code = "dmarc-syntax"
		reason := entry.err
		if reason == nil {
			_, reason = parseDMARC(f.Record)
		}
		f.Text = fmt.Sprintf("The DMARC record counts for nothing: %v.", reason)
		return f
	}
	return f
}

// orgDomainsDiffer warns where the two ways of finding the organisational domain
// give two, so that receivers differ in what they take for aligned.
func orgDomainsDiffer(from mail.Domain, old, now discovery, fact DMARCFact) (Finding, bool) {
	if fact.TreeOrg == "" || fact.TreeOrg == fact.SuffixOrg {
		return Finding{}, false
	}
	f := Finding{Check: DMARC, Code: "dmarc-orgdomain-differs", Status: Warn, Name: "_dmarc." + string(from)}
	f.Text = fmt.Sprintf("The organisational domain is %s by the tree walk of RFC 9989 but %s by the public suffix list; receivers may differ.",
		fact.TreeOrg, fact.SuffixOrg)
	if old.found == Yes && now.found == Yes && old.policy != now.policy {
		f.Text += fmt.Sprintf(" So may the policy: %s or %s.", now.policy, old.policy)
	}
	return f, true
}

// alignmentFindings judges the authenticated domains against the policy, once
// all facts are known.
func alignmentFindings(from mail.Domain, f Facts) []Finding {
	if f.DMARC.Published != Yes {
		return nil
	}
	var findings []Finding
	add := func(code string, status Status, format string, args ...any) {
		findings = append(findings, Finding{
			Check: DMARC, Code: code, Status: status, Name: "_dmarc." + string(f.DMARC.Domain), Text: fmt.Sprintf(format, args...),
		})
	}
	if len(f.DKIM) > 0 && f.anyKey(func(k KeyFact) Tri { return k.Aligned }) == No {
		add("dmarc-unaligned-dkim", Warn, "No key signs as a domain that is aligned with %s.", from)
	}
	if f.SPF.Aligned == No {
		add("dmarc-unaligned-spf", Warn, "SPF is checked on %s, which is not aligned with %s.", cmpOr(string(f.SPF.Domain), "no domain"), from)
	}
	if f.dmarcPasses() == No && f.DMARC.Policy.strictness() > 0 {
		status := Warn
		if f.DMARC.Policy == PolicyReject {
			status = Fail
		}
		add("dmarc-refuses-us", status, "The policy p=%s of %s asks receivers to %s this very mail: neither DKIM nor SPF passes aligned.",
			f.DMARC.Policy, f.DMARC.Domain, f.DMARC.Policy)
	}
	return findings
}

// anyKey is Kleene's "or" over the keys.
func (f Facts) anyKey(holds func(KeyFact) Tri) Tri {
	any := No
	for _, k := range f.DKIM {
		any = any.Or(holds(k))
	}
	return any
}

// spfPasses tells whether SPF passes from every egress address.
func (f Facts) spfPasses() Tri {
	if len(f.SPF.Addresses) == 0 {
		return f.SPF.Result.tri()
	}
	all := Yes
	for _, a := range f.SPF.Addresses {
		all = all.And(a.Result.tri())
	}
	return all
}

// dmarcPasses tells whether our own DKIM or SPF passes aligned.
func (f Facts) dmarcPasses() Tri {
	dkim := f.anyKey(func(k KeyFact) Tri { return k.Valid.And(k.Aligned) })
	return dkim.Or(f.spfPasses().And(f.SPF.Aligned))
}
