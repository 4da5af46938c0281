package dnsview

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// maxName is the length of the longest name in text, without final dot (RFC
// 1035, section 2.3.4).
const maxName = 253

// parseName turns a name as people write it into canonical presentation form:
// lower case, with final dot, odd bytes escaped. A backslash is a byte like any
// other. For a name that can't exist it returns why.
func parseName(name string) (fqdn, problem string) {
	if name == "." {
		return ".", ""
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "", "the name is empty"
	}
	if len(name) > maxName {
		return "", fmt.Sprintf("the name has %d octets, of %d", len(name), maxName)
	}
	var b strings.Builder
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return "", "the name has an empty label"
		}
		if len(label) > 63 {
			return "", fmt.Sprintf("a label of the name has %d octets, of 63", len(label))
		}
		writeLabel(&b, label)
	}
	return b.String(), ""
}

// writeLabel escapes as the unpacking of a reply does, so that names compare.
func writeLabel(b *strings.Builder, label string) {
	for i := range len(label) {
		switch c := label[i]; {
		case strings.IndexByte(` '@;()"\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(b, "\\%03d", c)
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('.')
}

// display writes a canonical name for people: no final dot, except the root's.
func display(fqdn string) string {
	if fqdn == "." {
		return fqdn
	}
	return strings.TrimSuffix(dns.CanonicalName(fqdn), ".")
}

func parent(fqdn string) string {
	if i, end := dns.NextLabel(fqdn, 0); !end {
		return fqdn[i:]
	}
	return "."
}

// ReverseName returns the name under in-addr.arpa or ip6.arpa that holds the
// PTR records of addr, without final dot; "" for an invalid address. An
// IPv4-mapped IPv6 address counts as IPv4.
func ReverseName(addr netip.Addr) string {
	name, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return ""
	}
	return display(name)
}

// typeCode returns the code of a type this package reads.
func typeCode(qtype string) (uint16, bool) {
	switch code := dns.StringToType[strings.ToUpper(qtype)]; code {
	case dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA,
		dns.TypePTR, dns.TypeCNAME, dns.TypeSPF, dns.TypeTLSA:
		return code, true
	}
	return 0, false
}

// question is what is asked of a server.
type question struct {
	name  string // canonical
	qtype uint16
}

func (q question) typeText() string { return dns.TypeToString[q.qtype] }
