package preflight

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mailgate/internal/mail"
)

// part is one of the checks that run side by side.
type part struct {
	check    Check
	name     string // the DNS name it is about
	selector string // of a key's check
	run      func(context.Context) outcome
}

// outcome is what a part found: findings, and how to note them in the facts.
type outcome struct {
	findings []Finding
	note     func(*Report) // nil: nothing to note
}

// answer runs all checks of the inquiry. Parts that are not done when ctx ends,
// or that panic, are unknown.
func (q *inquiry) answer(ctx context.Context) *Report {
	r := newReport(q.id)
	parts := q.parts()
	for i, o := range gather(ctx, parts) {
		if o == nil {
			r.Findings = append(r.Findings, parts[i].late())
			continue
		}
		r.Findings = append(r.Findings, o.findings...)
		if o.note != nil {
			o.note(r)
		}
	}
	settleSigners(r.Facts.DKIM)
	r.markUnused()
	if len(q.id.Keys) == 0 {
		r.Findings = append(r.Findings, Finding{
			Check: DKIM, Code: "dkim-no-key", Status: Warn, Name: string(q.id.From),
			Text: "No key signs for " + string(q.id.From) + " here.",
		})
	}
	if f, found := ed25519Only(q.id.Keys); found {
		r.Findings = append(r.Findings, f)
	}
	r.Findings = append(r.Findings, alignmentFindings(q.id.From, r.Facts)...)
	r.Findings = tidy(r.Findings)
	return r
}

// newReport returns a report in which nothing is known yet.
func newReport(id Identity) *Report {
	r := &Report{From: id.From, MailFrom: id.MailFrom, Helo: id.Helo, Egress: id.Egress, Findings: []Finding{}}
	for _, k := range id.Keys {
		algorithm, bits := describeKey(k.Public)
		r.Facts.DKIM = append(r.Facts.DKIM, KeyFact{Domain: k.Domain, Selector: k.Selector, Algorithm: algorithm, Bits: bits, Standby: k.Standby})
	}
	settleSigners(r.Facts.DKIM)
	for _, address := range id.Egress {
		r.Facts.PTR = append(r.Facts.PTR, PTRFact{Address: address})
		r.Facts.SPF.Addresses = append(r.Facts.SPF.Addresses, AddressSPF{address, SPFUnknown})
	}
	r.Facts.SPF.Domain, r.Facts.SPF.Result = id.spfDomain(), SPFUnknown
	if id.MailFrom == "" {
		r.Facts.SOA.MailFrom = Yes // no domain that could lack one
	}
	return r
}

// gather runs the parts side by side and returns their outcomes, nil for each
// that did not come.
func gather(ctx context.Context, parts []part) []*outcome {
	type numbered struct {
		i int
		o outcome
	}
	// Each part's own time ends a little before ours: what DNS can tell of a
	// time-out is worth waiting for.
	inner, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		inner, cancel = context.WithTimeout(ctx, time.Until(deadline)*9/10)
	}
	defer cancel()
	done := make(chan numbered, len(parts))
	for i, p := range parts {
		go func() { done <- numbered{i, p.guarded(inner)} }()
	}
	outcomes := make([]*outcome, len(parts))
	for range parts {
		select {
		case n := <-done:
			outcomes[n.i] = &n.o
		case <-ctx.Done():
			return outcomes
		}
	}
	return outcomes
}

// late is the finding of a part that did not come in time.
func (p part) late() Finding {
	return p.unknown("dns-unreachable", "DNS gave no answer about "+p.name+" in time.")
}

func (p part) unknown(code, text string) Finding {
	return Finding{Check: p.check, Code: code, Status: Unknown, Name: p.name, Selector: p.selector, Text: text}
}

// guarded turns a panic into an unknown.
func (p part) guarded(ctx context.Context) (o outcome) {
	defer func() {
		if failure := recover(); failure != nil {
			o = outcome{findings: []Finding{p.unknown("check-failed", fmt.Sprintf("The check of %s broke off: %v.", p.name, failure))}}
		}
	}()
	return p.run(ctx)
}

func (q *inquiry) parts() []part {
	parts := []part{}
	for i, k := range q.id.Keys {
		parts = append(parts, q.keyPart(i, k))
	}
	parts = append(parts, q.spfPart())
	if q.id.From != "" {
		parts = append(parts, q.dmarcPart(), q.zonePart(), q.soaPart(q.id.From))
	}
	for i, address := range q.id.Egress {
		parts = append(parts, q.ptrPart(i, address))
	}
	if q.id.Helo != "" {
		parts = append(parts, part{Host, string(q.id.Helo), "", func(ctx context.Context) outcome {
			return outcome{findings: []Finding{q.checkHelo(ctx)}}
		}})
	}
	if q.id.MailFrom != "" && q.id.MailFrom != q.id.From {
		parts = append(parts, q.soaPart(q.id.MailFrom))
	}
	return parts
}

func (q *inquiry) keyPart(i int, k Key) part {
	return part{DKIM, k.name(), k.Selector, func(ctx context.Context) outcome {
		c := q.checkKey(ctx, k)
		return outcome{c.findings, func(r *Report) {
			fact := &r.Facts.DKIM[i]
			fact.Valid, fact.Testing, fact.Servers, fact.Serving = c.valid, c.testing, c.servers, c.serving
		}}
	}}
}

func (q *inquiry) spfPart() part {
	domain := string(q.id.spfDomain())
	return part{SPF, domain, "", func(ctx context.Context) outcome {
		if domain == "" {
			return outcome{findings: []Finding{{
				Check: SPF, Code: "helo-not-set", Status: Unknown,
				Text: "The null sender's SPF is checked on the HELO name, and that is not set.",
			}}}
		}
		c := q.checkSPF(ctx)
		return outcome{c.findings, func(r *Report) { r.Facts.SPF.setResults(c) }}
	}}
}

func (q *inquiry) dmarcPart() part {
	return part{DMARC, "_dmarc." + string(q.id.From), "", func(ctx context.Context) outcome {
		c := q.checkDMARC(ctx)
		return outcome{c.findings, func(r *Report) {
			r.Facts.DMARC, r.Facts.SPF.Aligned = c.fact, c.spf
			for i := range r.Facts.DKIM {
				r.Facts.DKIM[i].Aligned = c.dkim[r.Facts.DKIM[i].Domain]
			}
		}}
	}}
}

func (q *inquiry) zonePart() part {
	return part{DNS, string(q.id.From), "", func(ctx context.Context) outcome {
		zone := q.dns.ZoneOf(ctx, string(q.id.From))
		q.note(zone.Status, zone.Expires)
		return outcome{note: func(r *Report) { r.NameServers = zone.NameServers }}
	}}
}

func (q *inquiry) soaPart(domain mail.Domain) part {
	return part{SOA, string(domain), "", func(ctx context.Context) outcome {
		f, exists := q.checkSOA(ctx, domain)
		return outcome{[]Finding{f}, func(r *Report) {
			if domain == r.From {
				r.Facts.SOA.From = exists
			}
			if domain == r.MailFrom {
				r.Facts.SOA.MailFrom = exists
			}
		}}
	}}
}

func (q *inquiry) ptrPart(i int, address netip.Addr) part {
	return part{PTR, address.String(), "", func(ctx context.Context) outcome {
		f, confirmed := q.checkPTR(ctx, address)
		return outcome{[]Finding{f}, func(r *Report) { r.Facts.PTR[i].Confirmed = confirmed }}
	}}
}

// tidy orders findings as they are shown and drops what was said already of
// another selector of the same zone.
func tidy(findings []Finding) []Finding {
	order := []Check{DKIM, SPF, DMARC, PTR, Host, SOA, DNS}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Check), slices.Index(order, b.Check))
	})
	said := map[string]bool{}
	return slices.DeleteFunc(findings, func(f Finding) bool {
		again := f.Check == DNS && said[f.Code+f.Text]
		said[f.Code+f.Text] = true
		return again
	})
}
