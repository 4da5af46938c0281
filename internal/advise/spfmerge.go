package advise

import (
	"cmp"
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

// mergeSPF returns the one record of domain to publish instead of those published,
// which lets the addresses in add pass, and notes on what else changes. Terms keep
// their order and text. The addresses come first: they win over whatever follows,
// cost no DNS query, and spare the receiver the ones that do.
func mergeSPF(domain string, published []string, add []netip.Addr) (string, []string) {
	if len(published) == 0 {
		return append(addressTerms(nil, add), "~all").String(), nil
	}
	terms := parseSPF(published[0])
	if len(published) > 1 {
		terms = joinSPF(published)
	}
	terms, notes := terms.mended(domain)
	return append(addressTerms(terms, add), terms...).String(), append(notes, terms.limits()...)
}

// addressTerms returns terms for the addresses that terms don't let pass already.
func addressTerms(terms spfTerms, add []netip.Addr) spfTerms {
	var fresh spfTerms
	for _, a := range add {
		a = a.Unmap().WithZone("")
		if term := addressTerm(a); !slices.Contains(fresh, term) && !terms.allow(a) {
			fresh = append(fresh, term)
		}
	}
	return fresh
}

func addressTerm(a netip.Addr) string {
	if a.Is6() {
		return "ip6:" + a.String()
	}
	return "ip4:" + a.String()
}

// allow reports that an ip4 or ip6 term lets the address pass, whatever the terms
// before it find in DNS.
func (t spfTerms) allow(a netip.Addr) bool {
	for _, term := range t {
		network, isNetwork := spfNetwork(term)
		switch {
		case isNetwork && network.Contains(a):
			return qualifier(term) == '+'
		case isNetwork || isModifier(term):
		case qualifier(term) != '+':
			return false // it may match first
		}
	}
	return false
}

// spfNetwork returns the addresses an ip4 or ip6 term stands for.
func spfNetwork(term string) (netip.Prefix, bool) {
	name, value := spfTerm(term)
	if name != "ip4" && name != "ip6" {
		return netip.Prefix{}, false
	}
	network, err := netip.ParsePrefix(value)
	if address, addressErr := netip.ParseAddr(value); addressErr == nil {
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	return network.Masked(), err == nil && network.Addr().Is4() == (name == "ip4")
}

// isModifier tells redirect=, exp= and unknown ones from mechanisms.
func isModifier(term string) bool {
	at := strings.IndexAny(term, ":=/")
	return at > 0 && term[at] == '='
}

// joinSPF makes one record of several: every mechanism once, a redirect= as the
// include: it amounts to, the first exp=, and the mildest all. A record without one
// is neutral about all others (RFC 7208 section 4.7); what a redirect= says of them is
// taken for ~all.
func joinSPF(published []string) spfTerms {
	var joined, end spfTerms
	all, explained := "", false
	for _, txt := range published {
		own, otherwise := "", "?all"
		for _, term := range parseSPF(txt) {
			switch name, value := spfTerm(term); name {
			case "all":
				own = milderAll(own, term)
				continue
			case "redirect":
				term, otherwise = "include:"+value, "~all"
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
		all = milderAll(all, cmp.Or(own, otherwise))
	}
	return append(append(joined, all), end...)
}

// letsAll reports that a record lets everybody send by its all, which mending takes
// away.
func letsAll(txt string) bool {
	return slices.ContainsFunc(parseSPF(txt), func(term string) bool {
		name, _ := spfTerm(term)
		return name == "all" && qualifier(term) == '+'
	})
}

// isKnownSPF reports whether a term's name is one of RFC 7208.
func isKnownSPF(term string) bool {
	switch name, _ := spfTerm(term); name {
	case "all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists", "redirect", "exp":
		return true
	}
	return false
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
		if isKnownSPF(word) {
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

// Limits of RFC 7208: DNS queries (section 4.6.4), and the length that still fits
// a UDP answer (section 3.4).
const (
	MaxLookups = 10
	maxLength  = 450
)

// limits notes what a record's own terms exceed; those it includes aren't seen.
func (t spfTerms) limits() []string {
	var notes []string
	if n := t.lookups(); n > MaxLookups {
		notes = append(notes, tooMany(n))
	}
	if n := len(t.String()); n > maxLength {
		notes = append(notes, fmt.Sprintf("It is %d bytes long; over %d some receivers may not get it.", n, maxLength))
	}
	return notes
}

func tooMany(queries int) string {
	return fmt.Sprintf("It needs %d DNS queries and receivers make %d: take out what no longer sends for the domain.", queries, MaxLookups)
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
