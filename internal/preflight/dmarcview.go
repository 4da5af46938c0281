package preflight

import (
	"context"
	"fmt"
	"slices"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// DMARCView is which DMARC record applies to a From domain, how it was found, and
// what its tags mean.
type DMARCView struct {
	From      mail.Domain `json:"from"`
	Domain    mail.Domain `json:"domain,omitempty"`  // whose record applies, "" for none
	Record    string      `json:"record,omitempty"`  // or From's own that counts for nothing
	Records   []string    `json:"records,omitempty"` // From's own where there are several, of which none counts
	Policy    Policy      `json:"policy,omitempty"`  // as it applies to From
	Why       string      `json:"why"`               // a sentence: why this record
	TreeOrg   mail.Domain `json:"tree_org,omitempty"`
	SuffixOrg mail.Domain `json:"suffix_org,omitempty"`
	Walk      []DMARCStep `json:"walk"`           // RFC 9989 section 4.10: From, and upwards
	Tags      []DMARCTag  `json:"tags,omitempty"` // of a record that counts for nothing, those at fault
}

// DMARCStepStatus says what is at one name of the walk.
type DMARCStepStatus string

const (
	DMARCStepFound   DMARCStepStatus = "found"
	DMARCStepNone    DMARCStepStatus = "none"
	DMARCStepVoid    DMARCStepStatus = "void"    // a record with a fault that makes it count for nothing
	DMARCStepSeveral DMARCStepStatus = "several" // of which receivers take none
	DMARCStepUnknown DMARCStepStatus = "unknown" // DNS gave no answer
)

// DMARCStep is one name of the walk.
type DMARCStep struct {
	Name   string          `json:"name"`
	Status DMARCStepStatus `json:"status"`
	Record string          `json:"record,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// DMARCView finds the record for a From domain as the check does, from the same
// answers. It ends with ctx or after Options.Timeout.
func (c *Checker) DMARCView(ctx context.Context, from mail.Domain) DMARCView {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	q := &inquiry{dns: c.dns, id: Identity{From: from, MailFrom: from}}
	tree := q.climb(ctx, []mail.Domain{from})
	missing := q.recursive(ctx, string(from), "SOA").Status == dnsview.NXDomain
	old, now := tree.discover7489(from), tree.discover9989(from, missing)
	fact := combine(old, now)
	v := DMARCView{From: from, Domain: fact.Domain, Policy: fact.Policy, SuffixOrg: suffixOrganisation(from), Walk: []DMARCStep{}}
	if organisation, known := tree.organisation(from); known {
		v.TreeOrg = organisation
	}
	for _, domain := range walkNames(from) {
		v.Walk = append(v.Walk, tree[domain].step(domain))
	}
	switch own := v.Walk[0]; {
	case fact.Published == Yes:
		v.Record = tree[fact.Domain].texts[0]
		v.Tags = ExplainDMARC(v.Record)
	case own.Status == DMARCStepSeveral:
		v.Records = tree[from].texts
	case own.Status == DMARCStepVoid:
		v.Record = own.Record
		v.Tags = slices.DeleteFunc(ExplainDMARC(v.Record), func(t DMARCTag) bool { return !t.Fault })
	}
	v.Why = v.why(fact.Published, old, now, missing)
	return v
}

func (e dmarcEntry) step(domain mail.Domain) DMARCStep {
	s := DMARCStep{Name: "_dmarc." + string(domain), Status: DMARCStepNone}
	switch {
	case !e.known:
		s.Status = DMARCStepUnknown
	case len(e.texts) > 1:
		s.Status, s.Record = DMARCStepSeveral, e.texts[0]
		s.Error = fmt.Sprintf("%d records, of which receivers take none", len(e.texts))
	case len(e.texts) == 1 && e.err != nil:
		s.Status, s.Record, s.Error = DMARCStepVoid, e.texts[0], e.err.Error()
	case len(e.texts) == 1:
		s.Status, s.Record = DMARCStepFound, e.texts[0]
	default:
		for _, text := range e.answer.Texts() {
			if looksLikeDMARC(text) {
				_, err := parseDMARC(text)
				s.Status, s.Record, s.Error = DMARCStepVoid, text, err.Error()
			}
		}
	}
	return s
}

// why says in a sentence which record applies, and which of its tags.
func (v DMARCView) why(published Tri, old, now discovery, missing bool) string {
	switch {
	case published == Maybe:
		return "DNS doesn't tell which record applies to " + string(v.From) + "."
	case published == No:
		return "No DMARC record applies to " + string(v.From) + "."
	case v.Domain == v.From:
		return "The domain's own record applies."
	}
	text := fmt.Sprintf("%s has no usable record of its own; that of %s applies", v.From, v.Domain)
	switch d := v.source(old, now); {
	case missing && d.record.NonExistent != "" && d.policy == d.record.NonExistent && d.domain == now.domain:
		text += ", with np=, as the domain does not exist"
	case d.record.SubPolicy != "":
		text += ", with sp="
	default:
		text += ", with p="
	}
	if old.found == Yes && now.found != Yes || old.found != Yes && now.found == Yes || old.domain != now.domain {
		text += "; receivers of RFC 7489 and RFC 9989 differ here"
	}
	return text + "."
}

// source is the discovery that the policy comes from.
func (v DMARCView) source(old, now discovery) discovery {
	if now.domain == v.Domain && now.policy == v.Policy {
		return now
	}
	return old
}
