package dnsview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// newRecord reads a resource record of a type this package knows.
func newRecord(rr dns.RR) (Record, bool) {
	r := Record{TTL: rr.Header().Ttl}
	switch v := rr.(type) {
	case *dns.TXT:
		r.setStrings(v.Txt)
	case *dns.SPF:
		r.setStrings(v.Txt)
	case *dns.A:
		r.Text = v.A.String()
	case *dns.AAAA:
		r.Text = v.AAAA.String()
	case *dns.MX:
		r.Text, r.Preference = display(v.Mx), v.Preference
	case *dns.NS:
		r.Text = display(v.Ns)
	case *dns.PTR:
		r.Text = display(v.Ptr)
	case *dns.CNAME:
		r.Text = display(v.Target)
	case *dns.SOA:
		r.Text = display(v.Ns)
	case *dns.TLSA:
		r.Text = fmt.Sprintf("%d %d %d %s", v.Usage, v.Selector, v.MatchingType, strings.ToLower(v.Certificate))
	default:
		return Record{}, false
	}
	return r, true
}

func (r *Record) setStrings(presented []string) {
	for _, s := range presented {
		r.Strings = append(r.Strings, Unescape(s))
	}
	r.Text = strings.Join(r.Strings, "")
}

// same ignores the TTL, in which servers may differ while they agree.
func (r Record) same(o Record) bool { return r.compare(o) == 0 }

// compare orders records as people expect them, whatever order a server used.
func (r Record) compare(o Record) int {
	return cmp.Or(
		cmp.Compare(r.Preference, o.Preference),
		cmp.Compare(r.Text, o.Text),
		slices.Compare(r.Strings, o.Strings),
	)
}

// collect sorts the records and drops repetitions, which a union of several
// servers' answers has; of two it keeps the shorter TTL.
func collect(records []Record) []Record {
	slices.SortStableFunc(records, func(a, b Record) int {
		return cmp.Or(a.compare(b), cmp.Compare(a.TTL, b.TTL))
	})
	return slices.CompactFunc(records, Record.same)
}

const (
	maxEvidence     = 32   // records of an Observation
	maxEvidenceText = 4096 // octets of each
)

// evidence writes records for an Observation, within bounds: a hostile server
// can send thousands, and they are kept with every held message.
func evidence(records []Record) []string {
	var out []string
	for i, r := range records {
		if i == maxEvidence {
			return append(out, fmt.Sprintf("… and %d more", len(records)-i))
		}
		text := r.Text
		if r.Preference != 0 {
			text = fmt.Sprintf("%d %s", r.Preference, text)
		}
		if len(text) > maxEvidenceText {
			text = fmt.Sprintf("%s… (%d octets)", text[:maxEvidenceText], len(text))
		}
		out = append(out, text)
	}
	return out
}
