package dnsview

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

var (
	errMalformed  = errors.New("malformed reply")
	errMismatched = errors.New("reply to another question")
)

// noTTL stands for "no record had a TTL".
const noTTL = math.MaxUint32

// parseReply reads a packet and makes sure that it answers q as sent with id. A
// truncated reply need not be whole.
func parseReply(packet []byte, id uint16, q question) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil || !m.Truncated && !complete(m, packet) {
		if truncatedHeader(packet, id) {
			m.Id, m.Response, m.Truncated = id, true, true
			return m, nil
		}
		return nil, errMalformed
	}
	if m.Id != id || !m.Response || m.Opcode != dns.OpcodeQuery {
		return nil, errMismatched
	}
	if len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return m, nil // old servers leave it out of error replies
	}
	if len(m.Question) != 1 {
		return nil, errMismatched
	}
	got := m.Question[0]
	if dns.CanonicalName(got.Name) != q.name || got.Qtype != q.qtype || got.Qclass != dns.ClassINET {
		return nil, errMismatched
	}
	return m, nil
}

// complete reports whether every record the header counts is there: the library
// takes a reply cut between two records for one that has fewer.
func complete(m *dns.Msg, packet []byte) bool {
	for i, n := range []int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)} {
		if int(binary.BigEndian.Uint16(packet[4+2*i:])) != n {
			return false
		}
	}
	return true
}

// truncatedHeader tells a reply cut in the middle of a record by QR and TC.
func truncatedHeader(packet []byte, id uint16) bool {
	const qr, tc = 0x80, 0x02
	return len(packet) >= 12 && binary.BigEndian.Uint16(packet) == id &&
		packet[2]&qr != 0 && packet[2]&tc != 0
}

// digest is what a reply says about its question.
type digest struct {
	status  Status
	records []Record // at the end of the chain
	chain   []string // CNAME targets, canonical, in order
	fault   string   // what is wrong with the chain
	ttl     uint32   // smallest seen, or the negative TTL; noTTL if there is none
}

const (
	maxCNAMEs  = 8
	cnameLoop  = "CNAME loop"
	cnamesLong = "more than 8 CNAMEs"
)

// read follows the CNAMEs within a reply to q. A loop is NoData, since nobody
// can follow it; a chain that is too long for us is Unknown.
func read(m *dns.Msg, q question) digest {
	d := digest{ttl: noTTL}
	for name := q.name; !d.at(m, name, q.qtype); name = d.chain[len(d.chain)-1] {
		if d.fault = chainFault(q.name, d.chain); d.fault != "" {
			d.status = faultStatus(d.fault)
			return d
		}
	}
	return d
}

// readName takes only what the reply says about the very name asked; the chain
// then has one target at most.
func readName(m *dns.Msg, q question) digest {
	d := digest{ttl: noTTL}
	d.at(m, q.name, q.qtype)
	return d
}

// at reads what the reply says of name, and reports false if that is an alias.
func (d *digest) at(m *dns.Msg, name string, qtype uint16) bool {
	if d.records = d.take(m.Answer, name, qtype); len(d.records) > 0 {
		d.status = Found
		return true
	}
	if target := d.alias(m.Answer, name); target != "" {
		d.status, d.chain = NoData, append(d.chain, target)
		return false
	}
	switch m.Rcode {
	case dns.RcodeNameError:
		d.status = NXDomain
	case dns.RcodeSuccess:
		d.status = NoData
	default:
		d.status = Unknown
	}
	if ttl, _, ok := authoritySOA(m); ok {
		d.ttl = min(d.ttl, ttl)
	}
	return true
}

// chainFault looks at the newest target of a chain that began at name.
func chainFault(name string, chain []string) string {
	last := len(chain) - 1
	if chain[last] == name || slices.Contains(chain[:last], chain[last]) {
		return cnameLoop
	}
	if len(chain) > maxCNAMEs {
		return cnamesLong
	}
	return ""
}

func faultStatus(fault string) Status {
	if fault == cnameLoop {
		return NoData
	}
	return Unknown
}

func (d *digest) take(section []dns.RR, name string, qtype uint16) []Record {
	var records []Record
	for _, rr := range section {
		if !owned(rr, name, qtype) {
			continue
		}
		if r, ok := newRecord(rr); ok {
			records = append(records, r)
			d.ttl = min(d.ttl, r.TTL)
		}
	}
	return collect(records)
}

// alias returns the CNAME target of name, the first in order if a broken
// server gives several, or "".
func (d *digest) alias(section []dns.RR, name string) string {
	target := ""
	for _, rr := range section {
		if !owned(rr, name, dns.TypeCNAME) {
			continue
		}
		t := dns.CanonicalName(rr.(*dns.CNAME).Target)
		if target == "" || t < target {
			target = t
		}
		d.ttl = min(d.ttl, rr.Header().Ttl)
	}
	return target
}

func owned(rr dns.RR, name string, rrtype uint16) bool {
	h := rr.Header()
	return h.Rrtype == rrtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == name
}

// authoritySOA returns the negative TTL (RFC 2308, section 5) and the owner of
// the SOA in the authority section.
func authoritySOA(m *dns.Msg) (ttl uint32, owner string, ok bool) {
	for _, rr := range m.Ns {
		if soa, is := rr.(*dns.SOA); is {
			return min(soa.Hdr.Ttl, soa.Minttl), dns.CanonicalName(soa.Hdr.Name), true
		}
	}
	return 0, "", false
}

// apexFrom reads, from a reply to "name SOA", the apex of the zone that holds
// name. A reply with an alias speaks of another name's zone.
func apexFrom(m *dns.Msg, name string) (apex string, ttl uint32, ok bool) {
	for _, rr := range m.Answer {
		switch {
		case owned(rr, name, dns.TypeSOA):
			return name, rr.Header().Ttl, true
		case rr.Header().Rrtype == dns.TypeCNAME || rr.Header().Rrtype == dns.TypeDNAME:
			return "", 0, false
		}
	}
	ttl, owner, ok := authoritySOA(m)
	if !ok || !dns.IsSubDomain(owner, name) {
		return "", 0, false
	}
	return owner, ttl, true
}

// referral reads a reply that hands name over to a zone below apex: its apex
// and servers, with the addresses the reply gives for them.
func referral(m *dns.Msg, apex, name string) (below string, servers map[string][]string) {
	if m.Authoritative || m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 {
		return "", nil
	}
	for _, rr := range m.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		owner := dns.CanonicalName(ns.Hdr.Name)
		if owner == apex || !dns.IsSubDomain(apex, owner) || !dns.IsSubDomain(owner, name) {
			continue
		}
		if below == "" {
			below, servers = owner, map[string][]string{}
		}
		if owner == below {
			host := dns.CanonicalName(ns.Ns)
			servers[host] = glue(m.Extra, host)
		}
	}
	return below, servers
}

func glue(extra []dns.RR, host string) []string {
	var addrs []string
	for _, rr := range extra {
		if owned(rr, host, dns.TypeA) || owned(rr, host, dns.TypeAAAA) {
			if r, ok := newRecord(rr); ok {
				addrs = append(addrs, r.Text)
			}
		}
	}
	return addrs
}

// explain returns what a server said about its own failure (RFC 8914).
func explain(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	var said []string
	for _, o := range opt.Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok {
			text := dns.ExtendedErrorCodeToString[ede.InfoCode]
			if text == "" {
				text = fmt.Sprintf("extended error %d", ede.InfoCode)
			}
			said = append(said, text)
		}
	}
	return strings.Join(said, ", ")
}

func rcodeText(rcode int) string {
	if text, ok := dns.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
