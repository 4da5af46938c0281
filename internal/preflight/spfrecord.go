package preflight

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// isSPF reports whether a TXT value is an SPF record. RFC 7208 section 4.5.
func isSPF(s string) bool {
	version, _, _ := strings.Cut(s, " ")
	return strings.EqualFold(version, "v=spf1")
}

// looksLikeSPF reports whether somebody meant s to be an SPF record.
func looksLikeSPF(s string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimLeft(s, "\"'“ \t")), "v=spf1")
}

// spfTerm is one term of an SPF record, taken apart.
type spfTerm struct {
	qualifier byte   // + - ~ ?
	name      string // lower case: "ip4", "include", …; a modifier's name
	argument  string // after ":", "/" or "="
	modifier  bool
}

// spfTerms takes a record apart and says what is wrong with the first bad term.
// A syntax error anywhere makes the whole record void, even behind a term that
// matches (RFC 7208 section 4.6), so it is looked for before evaluation, which
// stops at the first match.
func spfTerms(record string) ([]spfTerm, error) {
	var terms []spfTerm
	seen := map[string]bool{}
	for _, word := range strings.Split(record, " ")[1:] {
		if word == "" {
			continue
		}
		term, err := parseSPFTerm(word)
		if err != nil {
			return nil, fmt.Errorf("%q: %w%s", clip(word, 60), err, spfHint(word))
		}
		if term.modifier && (term.name == "redirect" || term.name == "exp") {
			if seen[term.name] {
				return nil, fmt.Errorf("%s= occurs twice", term.name)
			}
			seen[term.name] = true
		}
		terms = append(terms, term)
	}
	return terms, nil
}

func parseSPFTerm(word string) (spfTerm, error) {
	at := strings.IndexAny(word, ":/=")
	if at > 0 && word[at] == '=' {
		name := strings.ToLower(word[:at])
		if !isModifierName(name) {
			return spfTerm{}, fmt.Errorf("not a mechanism or modifier")
		}
		return spfTerm{name: name, argument: word[at+1:], modifier: true}, nil
	}
	t := spfTerm{qualifier: '+'}
	if strings.IndexByte("+-~?", word[0]) >= 0 {
		t.qualifier, word = word[0], word[1:]
	}
	t.name = strings.ToLower(word)
	if at := strings.IndexAny(word, ":/"); at >= 0 {
		t.name, t.argument = strings.ToLower(word[:at]), word[at:]
	}
	return t, t.check()
}

func isModifierName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || strings.IndexByte("-_.", c) >= 0) {
			continue
		}
		return false
	}
	return s != ""
}

// spfHint says what a term that is none was meant for, where that is known.
func spfHint(word string) string {
	bare := strings.TrimLeft(word, "+-~?")
	name, argument, _ := strings.Cut(bare, ":")
	_, isAddress := netip.ParseAddr(bare)
	_, isNetwork := netip.ParsePrefix(bare)
	switch {
	case isAddress == nil || isNetwork == nil:
		return "; an address has ip4: or ip6: before it"
	case strings.HasPrefix(word, "–") || strings.HasPrefix(word, "—") || strings.HasPrefix(word, "−"):
		return "; its dash is not a minus"
	case strings.HasSuffix(word, ",") || strings.HasSuffix(word, ";"):
		return "; terms have only spaces between them"
	case strings.EqualFold(name, "ip") || strings.EqualFold(name, "ipv4") || strings.EqualFold(name, "ipv6"):
		return "; it is written ip4: or ip6:"
	case argument == "" && strings.HasSuffix(word, ":"):
		return "; no space may follow the colon"
	case strings.EqualFold(word, spfVersion):
		return "; the version stands once, at the beginning"
	}
	return ""
}

const spfVersion = "v=spf1"

// check looks at the mechanism's argument; macros are left to evaluation.
func (t spfTerm) check() error {
	switch t.name {
	case "all":
		if t.argument != "" {
			return fmt.Errorf("all takes nothing after it")
		}
	case "include", "exists":
		if len(t.argument) < 2 || t.argument[0] != ':' || strings.Contains(t.argument, "/") {
			return fmt.Errorf("%s needs a domain after the colon", t.name)
		}
	case "ptr":
		if t.argument == ":" || strings.Contains(t.argument, "/") {
			return fmt.Errorf("ptr takes a domain or nothing")
		}
	case "a", "mx":
		return checkDualLength(t.argument)
	case "ip4", "ip6":
		_, err := t.network()
		return err
	default:
		return fmt.Errorf("not a mechanism or modifier")
	}
	return nil
}

// checkDualLength checks ":domain/24//64", every part of it optional.
func checkDualLength(argument string) error {
	domain, lengths, found := strings.Cut(argument, "/")
	if domain == ":" {
		return fmt.Errorf("no domain after the colon")
	}
	if !found {
		return nil
	}
	four, six, dual := strings.Cut("/"+lengths, "//")
	if four != "" && !isPrefixLength(four[1:], 32) || dual && !isPrefixLength(six, 128) {
		return fmt.Errorf("not a prefix length")
	}
	return nil
}

func isPrefixLength(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= most && (s == "0" || s[0] != '0' && s[0] != '+')
}

// network returns the addresses an ip4 or ip6 term stands for.
func (t spfTerm) network() (netip.Prefix, error) {
	text, found := strings.CutPrefix(t.argument, ":")
	address, length, hasLength := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(address)
	if !found || err != nil || ip.Zone() != "" || (t.name == "ip4") != ip.Is4() {
		return netip.Prefix{}, fmt.Errorf("not an IPv%c address or network", t.name[2])
	}
	if !hasLength {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if !isPrefixLength(length, ip.BitLen()) {
		return netip.Prefix{}, fmt.Errorf("not a prefix length")
	}
	bits, _ := strconv.Atoi(length)
	return netip.PrefixFrom(ip, bits), nil
}

// allowsEverybody reports whether the record lets the world send: +all, or an
// enormous network (shorter than /8 for IPv4, /16 for IPv6).
func allowsEverybody(terms []spfTerm) bool {
	for _, t := range terms {
		if t.qualifier != '+' || t.modifier {
			continue
		}
		switch t.name {
		case "all":
			return true
		case "ip4":
			if n, err := t.network(); err == nil && n.Bits() < 8 {
				return true
			}
		case "ip6":
			if n, err := t.network(); err == nil && n.Bits() < 16 {
				return true
			}
		}
	}
	return false
}
