package advise

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxCounted bounds the count of queries.
const maxCounted = 60

// fit counts the DNS queries of a record, with those of its includes. Where they are
// too many, the domain's own hosts and includes are written as addresses, as many as
// it takes; what others serve may change any day and is left for people to decide on.
func (a *adviser) fit(r *Record) {
	terms := parseSPF(r.Value)
	queries := a.queries(terms, []string{r.Name})
	if r.Lookups = queries; queries <= MaxLookups {
		return
	}
	r.Notes = slices.DeleteFunc(r.Notes, func(n string) bool { return n == tooMany(terms.lookups()) })
	var written []string
	for _, flat := range []func(string, string) (spfTerms, bool){a.flatHost, a.flatInclude} {
		for i := 0; i < len(terms) && queries > MaxLookups; i++ {
			if addresses, ok := flat(r.Name, terms[i]); ok {
				written = append(written, terms[i])
				terms = slices.Concat(terms[:i], addresses, terms[i+1:])
				queries = a.queries(terms, []string{r.Name})
			}
		}
	}
	if queries > MaxLookups {
		r.Notes = append(r.Notes, fmt.Sprintf("It takes %d DNS queries and receivers make %d, so it counts as an error: %s. Take out what no longer sends for the domain, or give it a sub-domain of its own to send from.",
			queries, MaxLookups, a.costs(r.Name, terms)))
		if len(written) > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("It would take %d with %s as published now.", r.Lookups, strings.Join(written, ", ")))
		}
	} else {
		r.Notes = append(r.Notes, fmt.Sprintf("As published it takes %d DNS queries and receivers make %d; with %s written as addresses it takes %d. Change it here when these hosts' addresses change.",
			r.Lookups, MaxLookups, strings.Join(written, ", "), queries))
	}
	r.Value, r.Lookups = terms.String(), queries
}

// queries counts the DNS queries terms take, with those of the records they include,
// as far as these are known. RFC 7208 section 4.6.4.
func (a *adviser) queries(terms spfTerms, path []string) (n int) {
	hasAll := slices.ContainsFunc(terms, func(t string) bool { name, _ := spfTerm(t); return name == "all" })
	for _, term := range terms {
		name, value := spfTerm(term)
		switch {
		case n > maxCounted:
			return n
		case name == "a" || name == "mx" || name == "ptr" || name == "exists":
			n++
		case name == "include" || name == "redirect" && !hasAll:
			n += 1 + a.included(value, path)
		}
	}
	return n
}

// included counts the queries of the record at name.
func (a *adviser) included(name string, path []string) int {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if slices.Contains(path, name) {
		return maxCounted // it never ends
	}
	if strings.Contains(name, "%") {
		return 0 // another record for every sender
	}
	records := matching(a.want.Now(name).Values, isSPF)
	if len(records) == 0 {
		return 0
	}
	return a.queries(parseSPF(records[0]), append(slices.Clone(path), name))
}

// costs tells which terms take how many queries, the dearest first.
func (a *adviser) costs(domain string, terms spfTerms) string {
	type cost struct {
		term string
		n    int
	}
	var costs []cost
	for _, term := range terms {
		if n := a.queries(spfTerms{term}, []string{domain}); n > 0 {
			costs = append(costs, cost{term, n})
		}
	}
	slices.SortStableFunc(costs, func(a, b cost) int { return b.n - a.n })
	var words []string
	for _, c := range costs {
		words = append(words, fmt.Sprintf("%s %d", c.term, c.n))
	}
	return strings.Join(words, ", ")
}

// flatHost writes a or mx of the domain's own hosts as addresses.
func (a *adviser) flatHost(domain, term string) (spfTerms, bool) {
	name, value := spfTerm(term)
	if name != "a" && name != "mx" || a.want.Addresses == nil || strings.ContainsAny(term, "/%") {
		return nil, false
	}
	if value == "" {
		value = domain
	}
	if !under(strings.ToLower(value), ownOrganisation(domain)) {
		return nil, false
	}
	addresses, known := a.want.Addresses(strings.ToLower(value), name == "mx")
	const most = 6 // more make the record too long
	if !known || len(addresses) == 0 || len(addresses) > most {
		return nil, false
	}
	sign := term[:len(term)-len(strings.TrimLeft(term, "+-~?"))]
	var flat spfTerms
	for _, address := range addresses {
		flat = append(flat, sign+addressTerm(address.Unmap().WithZone("")))
	}
	return flat, true
}

// flatInclude writes an include of the domain's own as the terms it holds, where
// these only let pass: all else means something different in an include.
func (a *adviser) flatInclude(domain, term string) (spfTerms, bool) {
	name, value := spfTerm(term)
	if name != "include" || qualifier(term) != '+' || !under(strings.ToLower(value), ownOrganisation(domain)) {
		return nil, false
	}
	records := matching(a.want.Now(strings.ToLower(value)).Values, isSPF)
	if len(records) != 1 {
		return nil, false
	}
	var flat spfTerms
	for _, t := range parseSPF(records[0]) {
		name, of := spfTerm(t)
		switch {
		case name == "all" && qualifier(t) != '+':
			return flat, true
		case qualifier(t) != '+' || isModifier(t) || name == "all" || name == "ptr" || strings.Contains(t, "%"):
			return nil, false
		case (name == "a" || name == "mx") && of == "":
			t += ":" + value // of the include, not of the domain
		case (name == "a" || name == "mx") && strings.HasPrefix(t[len(name):], "/"):
			return nil, false
		}
		flat = append(flat, t)
	}
	return flat, true
}

// ownOrganisation is the domain under which names are the domain's own.
func ownOrganisation(domain string) string {
	if organisation, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return organisation
	}
	return domain
}
