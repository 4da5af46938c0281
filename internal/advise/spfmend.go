package advise

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// mended returns the terms without the mistakes that have one obvious remedy, and
// notes on these and on terms that count for nothing.
func (t spfTerms) mended(domain string) (spfTerms, []string) {
	var mended spfTerms
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	ended := "" // the all that was met
	parted := t.rejoined().parted()
	if len(parted) > len(t.rejoined()) {
		note("Terms stood together without a space between them.")
	}
	for _, old := range parted {
		term := tidyTerm(old)
		name, value := spfTerm(term)
		switch {
		case name == "all" && ended != "":
			note("%s counts for nothing after %s, and is left out.", old, ended)
			continue
		case name == "all" && qualifier(term) == '+' && !strings.Contains(term, "="):
			term = "~all"
			note("%s lets everybody send as the domain; add other servers that send for it before publishing this.", old)
		case name == "include" && sameName(value, domain) && domain != "":
			note("%s includes the record itself, which never ends: left out.", old)
			continue
		case isAddress(term) || isAddress(value) && name != "ip4" && name != "ip6" || isOtherFamily(name, value):
			term = respelled(term)
			note("%s is not a mechanism: written as %s.", old, term)
		case term != old:
			note("%s is written as %s.", old, term)
		case ended != "" && name == "redirect":
			note("%s counts for nothing beside %s (RFC 7208 section 6.1).", old, ended)
		case ended != "" && !isModifier(term):
			note("%s stands after %s, where it counts for nothing: move it before, if it sends for the domain.", old, ended)
		}
		if name, _ := spfTerm(term); name == "all" {
			ended = term
		}
		mended = append(mended, term)
	}
	return mended, notes
}

// rejoined puts terms together that a space after the colon has parted:
// "ip4: 192.0.2.1".
func (t spfTerms) rejoined() spfTerms {
	var joined spfTerms
	for _, term := range t {
		last := len(joined) - 1
		if last >= 0 && strings.HasSuffix(joined[last], ":") && continues(joined[last], term) {
			joined[last] += term
			continue
		}
		joined = append(joined, term)
	}
	return joined
}

// gluedAddress matches an ip4 or ip6 term that the next term follows without a space.
var gluedAddress = regexp.MustCompile(`(?i)^([+~?-]?ip[46]:[0-9a-f.:/]*?)([+~?-]?(?:ip[46]:|include:|a:|mx:|all$|mx$).*)$`)

// listed takes terms apart that a comma or a semicolon stands between. A macro may
// hold a comma.
func listed(term string) spfTerms {
	pieces := strings.FieldsFunc(term, func(r rune) bool { return r == ',' || r == ';' })
	for _, piece := range pieces {
		if !isKnownSPF(piece) && !isAddress(piece) {
			return spfTerms{term}
		}
	}
	if len(pieces) < 2 {
		return spfTerms{term}
	}
	return pieces
}

// parted puts a space back between terms that a comma stands between, or that were
// joined with two strings of a record: "ip4:192.0.2.1ip4:192.0.2.2".
func (t spfTerms) parted() spfTerms {
	var apart, parted spfTerms
	for _, term := range t {
		apart = append(apart, listed(term)...)
	}
	for _, term := range apart {
		for {
			pieces := gluedAddress.FindStringSubmatch(term)
			if pieces == nil {
				break
			}
			if _, ok := spfNetwork(pieces[1]); !ok {
				break
			}
			parted, term = append(parted, pieces[1]), pieces[2]
		}
		parted = append(parted, term)
	}
	return parted
}

// continues reports whether next is what the mechanism lacks after its colon.
func continues(mechanism, next string) bool {
	switch name, value := spfTerm(mechanism); {
	case value != "":
		return false
	case name == "ip4" || name == "ip6":
		return isAddress(next) && !strings.ContainsAny(next[:1], "+-~?")
	case name == "include" || name == "a" || name == "mx" || name == "exists":
		return strings.Contains(next, ".") && !strings.ContainsAny(next, ":=") && !isAddress(next)
	}
	return false
}

// tidyTerm replaces the dashes that word processors make of a minus, and drops
// commas and semicolons, which end no term of SPF.
func tidyTerm(term string) string {
	for _, dash := range []string{"–", "—", "−", "‑"} {
		if rest, found := strings.CutPrefix(term, dash); found {
			term = "-" + rest
		}
	}
	if trimmed := strings.TrimRight(term, ",;"); trimmed != "" {
		return trimmed
	}
	return term
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// isAddress reports whether s, without a qualifier, is an IP address or network.
func isAddress(s string) bool {
	_, ok := parseNetwork(strings.TrimLeft(s, "+-~?"))
	return ok
}

func parseNetwork(s string) (netip.Prefix, bool) {
	if address, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), address.Zone() == ""
	}
	network, err := netip.ParsePrefix(s)
	return network, err == nil
}

// isOtherFamily reports ip4: with an IPv6 address and the reverse.
func isOtherFamily(name, value string) bool {
	network, ok := parseNetwork(value)
	return ok && (name == "ip4" && network.Addr().Is6() || name == "ip6" && network.Addr().Is4())
}

// respelled writes a term that holds an address as the mechanism it was meant for.
func respelled(term string) string {
	sign := term[:len(term)-len(strings.TrimLeft(term, "+-~?"))]
	address := term[len(sign):]
	if !isAddress(address) {
		_, address = spfTerm(term)
	}
	network, _ := parseNetwork(address)
	if slices.Contains([]string{"+", ""}, sign) {
		sign = ""
	}
	if network.Addr().Is6() {
		return sign + "ip6:" + address
	}
	return sign + "ip4:" + address
}
