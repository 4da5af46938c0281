package advise

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// spfTerms is an SPF record, without its version, as its terms. RFC 7208
// section 4.6.1.
type spfTerms []string

const spfVersion = "v=spf1"

// isSPF tells an SPF record from other TXT records. RFC 7208 section 4.5.
func isSPF(txt string) bool {
	version, _, _ := strings.Cut(txt, " ")
	return strings.EqualFold(version, spfVersion)
}

func parseSPF(txt string) spfTerms {
	_, rest, _ := strings.Cut(txt, " ")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' })
}

func (t spfTerms) String() string {
	return strings.Join(append([]string{spfVersion}, t...), " ")
}

// mergeSPF returns the one record to publish instead of those published, which
// lets the addresses in add pass, and notes on what else changes. Terms keep
// their order and text. The addresses come first: they win over whatever follows,
// cost no DNS query, and spare the receiver the ones that do.
func mergeSPF(published []string, add []netip.Addr) (string, []string) {
	if len(published) == 0 {
		return append(addressTerms(nil, add), "~all").String(), nil
	}
	terms := parseSPF(published[0])
	if len(published) > 1 {
		terms = joinSPF(published)
	}
	terms, notes := terms.mended()
	return append(addressTerms(terms, add), terms...).String(), append(notes, terms.limits()...)
}

// addressTerms returns the terms for addresses that terms don't begin with
// already.
func addressTerms(terms spfTerms, add []netip.Addr) spfTerms {
	var fresh spfTerms
	for _, a := range add {
		a = a.Unmap().WithZone("")
		term := "ip4:" + a.String()
		if a.Is6() {
			term = "ip6:" + a.String()
		}
		if !slices.Contains(fresh, term) && !slices.Contains(terms.leadingAddresses(), term) {
			fresh = append(fresh, term)
		}
	}
	return fresh
}

// leadingAddresses returns the addresses that pass before anything else is
// looked at.
func (t spfTerms) leadingAddresses() spfTerms {
	end := slices.IndexFunc(t, func(term string) bool {
		return !strings.HasPrefix(term, "ip4:") && !strings.HasPrefix(term, "ip6:")
	})
	if end < 0 {
		return t
	}
	return t[:end]
}

// joinSPF makes one record of several: every mechanism once, a redirect= as the
// include: it amounts to, the first exp=, and the mildest all.
func joinSPF(published []string) spfTerms {
	var joined, end spfTerms
	all, explained := "", false
	for _, txt := range published {
		for _, term := range parseSPF(txt) {
			switch name, value := spfTerm(term); name {
			case "all":
				all = milderAll(all, term)
				continue
			case "redirect":
				term = "include:" + value
			case "exp":
				if !explained {
					end, explained = append(end, term), true
				}
				continue
			}
			if !slices.Contains(joined, term) {
				joined = append(joined, term)
			}
		}
	}
	if all == "" {
		all = "~all"
	}
	return append(append(joined, all), end...)
}

// salvage finds the terms in what was meant to be an SPF record but doesn't begin
// with "v=spf1 ".
func salvage(txt string) (spfTerms, bool) {
	at := strings.Index(strings.ToLower(txt), spfVersion)
	if at < 0 || at+len(spfVersion) > len(txt) {
		return nil, false
	}
	var terms spfTerms
	words := strings.FieldsFunc(txt[at+len(spfVersion):], func(r rune) bool { return strings.ContainsRune(" \t,;\"'“”", r) })
	for _, word := range words {
		switch name, _ := spfTerm(word); name {
		case "all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists", "redirect", "exp":
			terms = append(terms, word)
		}
	}
	return terms, true
}

// spfTerm returns a term's name in lower case, without its qualifier, and what
// follows the first colon, equals sign or slash.
func spfTerm(term string) (name, value string) {
	name = strings.TrimLeft(term, "+-~?")
	if i := strings.IndexAny(name, ":=/"); i >= 0 {
		name, value = name[:i], name[i+1:]
	}
	return strings.ToLower(name), value
}

// milderAll returns whichever all is the less strict; a record allowed by one of
// two must not be refused by their union.
func milderAll(a, b string) string {
	const order = "-~?+"
	if strings.IndexByte(order, qualifier(b)) > strings.IndexByte(order, qualifier(a)) || a == "" {
		return b
	}
	return a
}

// qualifier of a term, '+' where there is none. RFC 7208 section 4.6.2.
func qualifier(term string) byte {
	if term == "" || !strings.ContainsRune("+-~?", rune(term[0])) {
		return '+'
	}
	return term[0]
}

// mended returns the terms without the mistakes that have one obvious remedy: an
// all that lets everybody pass, and mechanisms that are called otherwise.
func (t spfTerms) mended() (spfTerms, []string) {
	mended, notes := slices.Clone(t), []string(nil)
	for i, term := range mended {
		switch name, value := spfTerm(term); name {
		case "all":
			if qualifier(term) == '+' {
				mended[i] = "~all"
				notes = append(notes, fmt.Sprintf("%s lets everybody send as the domain; add other servers that send for it before publishing this.", term))
			}
		case "ip", "ipv4", "ipv6":
			mended[i] = respelled(term, value)
			notes = append(notes, fmt.Sprintf("%s is not a mechanism: written as %s.", term, mended[i]))
		}
	}
	return mended, notes
}

// respelled writes an address mechanism with its proper name.
func respelled(term, value string) string {
	sign := term[:len(term)-len(strings.TrimLeft(term, "+-~?"))]
	if strings.Contains(value, ":") {
		return sign + "ip6:" + value
	}
	return sign + "ip4:" + value
}

// Limits of RFC 7208: DNS queries (section 4.6.4), and the length that still fits
// a UDP answer (section 3.4).
const (
	maxLookups = 10
	maxLength  = 450
)

// limits notes what a record's own terms exceed; those it includes aren't seen.
func (t spfTerms) limits() []string {
	var notes []string
	if n := t.lookups(); n > maxLookups {
		notes = append(notes, fmt.Sprintf("It needs %d DNS queries and receivers make %d: take out what no longer sends for the domain.", n, maxLookups))
	}
	if n := len(t.String()); n > maxLength {
		notes = append(notes, fmt.Sprintf("It is %d bytes long; over %d some receivers may not get it.", n, maxLength))
	}
	return notes
}

func (t spfTerms) lookups() int {
	n := 0
	for _, term := range t {
		switch name, _ := spfTerm(term); name {
		case "include", "a", "mx", "ptr", "exists", "redirect":
			n++
		}
	}
	return n
}
