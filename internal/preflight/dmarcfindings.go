package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// describeDMARC makes the findings about records; those about alignment follow
// when DKIM and SPF are known.
func (q *inquiry) describeDMARC(ctx context.Context, tree dmarcTree, old, now discovery, fact DMARCFact) []Finding {
	if fact.Published == Maybe {
		for _, name := range walkNames(q.id.From) {
			if !tree[name].known {
				return []Finding{unreachable(DMARC, tree[name].answer)}
			}
		}
	}
	if fact.Published == No {
		return []Finding{q.noUsableDMARC(ctx, tree)}
	}
	entry := tree[fact.Domain]
	f := Finding{
		Check: DMARC, Code: "dmarc-ok", Status: Pass, Name: "_dmarc." + string(fact.Domain),
		Record: entry.texts[0], Text: describePolicy(q.id.From, fact, entry.record), Evidence: evidence(entry.answer),
	}
	if len(entry.record.Problems) > 0 {
		f.Code, f.Status = "dmarc-syntax", Warn
		f.Text = strings.Join(entry.record.Problems, "; ") + ". The policy is " + f.Text
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
func (q *inquiry) noUsableDMARC(ctx context.Context, tree dmarcTree) Finding {
	from := q.id.From
	f := Finding{Check: DMARC, Code: "dmarc-missing", Status: Warn, Name: "_dmarc." + string(from)}
	f.Text = string(from) + " has no DMARC record" + whoAnswered(tree[from].answer) + "."
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
	q.dmarcElsewhere(ctx, tree, &f)
	return f
}

// dmarcElsewhere says where the record is that was meant for _dmarc.
func (q *inquiry) dmarcElsewhere(ctx context.Context, tree dmarcTree, f *Finding) {
	from := q.id.From
	a := tree[from].answer
	if n := len(a.CNAMEs); n > 0 && q.byWildcard(ctx, a) {
		f.Text += wildcardAlias(a)
		return
	} else if n > 0 {
		f.Text += " The name is a CNAME to " + a.CNAMEs[n-1] + ", which has none."
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for _, place := range []struct{ name, fault string }{
		{string(from), "receivers ask for _dmarc." + string(from)},
		{f.Name + "." + string(from), "the zone's name was added twice"},
		{"_dmarc." + f.Name, "_dmarc was added twice"},
		{"dmarc." + string(from), "the name begins with an underscore"},
	} {
		found := q.published(ctx, place.name, "TXT")
		at := slices.IndexFunc(found.Texts(), looksLikeDMARC)
		if found.Status != dnsview.Found || at < 0 {
			continue
		}
		f.Text += " There is one at " + place.name + ": " + place.fault + "."
		f.Evidence = evidence(a, found)
		return
	}
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
