package tlsreport

import (
	"hash/fnv"
	"maps"
	"slices"

	"mailgate/internal/mail"
)

// Bounds of what is counted. Beyond maxDomains sessions are not counted, beyond
// maxPolicies neither; beyond maxDetails the failures are in the summary alone.
const (
	maxDomains  = 10_000 // a day
	maxPolicies = 20     // of a domain
	maxDetails  = 100    // of a policy
)

// pages is in how many parts a day is kept.
const pages = 16

// book has the sessions of a day.
type book struct {
	pages     [pages]page
	domains   int
	uncounted int
}

// page is what is kept as one note.
type page struct {
	results map[mail.Domain][]*result
	dirty   bool // changed since it was kept
}

func pageOf(d mail.Domain) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(d))
	return int(h.Sum32() % pages)
}

// add counts a session, false where there is no room for it. A nil failure is a
// success.
func (b *book) add(d mail.Domain, p policy, f *failure) bool {
	at := &b.pages[pageOf(d)]
	results, known := at.results[d]
	if !known && b.domains >= maxDomains {
		b.uncounted++
		return false
	}
	i := slices.IndexFunc(results, func(r *result) bool { return r.Policy.equal(p) })
	if i < 0 {
		if len(results) >= maxPolicies {
			b.uncounted++
			return false
		}
		if at.results == nil {
			at.results = map[mail.Domain][]*result{}
		}
		if !known {
			b.domains++
		}
		i = len(results)
		results = append(results, &result{Policy: p})
		at.results[d] = results
	}
	results[i].count(f)
	at.dirty = true
	return true
}

func (r *result) count(f *failure) {
	if f == nil {
		r.Summary.Successes++
		return
	}
	r.Summary.Failures++
	i := slices.IndexFunc(r.Details, func(d *details) bool { return d.failure == *f })
	switch {
	case i >= 0:
		r.Details[i].Sessions++
	case len(r.Details) < maxDetails:
		r.Details = append(r.Details, &details{*f, 1})
	}
}

// list are the domains in order.
func (b *book) list() []mail.Domain {
	var all []mail.Domain
	for _, p := range b.pages {
		all = slices.AppendSeq(all, maps.Keys(p.results))
	}
	slices.Sort(all)
	return all
}

// of returns a copy of what is counted of a domain.
func (b *book) of(d mail.Domain) []*result {
	var list []*result
	for _, r := range b.pages[pageOf(d)].results[d] {
		c := *r
		c.Details = nil
		for _, f := range r.Details {
			one := *f
			c.Details = append(c.Details, &one)
		}
		list = append(list, &c)
	}
	return list
}

// remove forgets a domain.
func (b *book) remove(d mail.Domain) {
	at := &b.pages[pageOf(d)]
	if _, ok := at.results[d]; ok {
		delete(at.results, d)
		b.domains--
		at.dirty = true
	}
}
