package dnstest

import (
	"strings"

	"github.com/miekg/dns"
)

// maxChain bounds the CNAMEs followed within one reply.
const maxChain = 16

// Recursive makes the server answer questions with RD set as the resolver of a
// small Internet does: RA set, AA clear, over its own zones and those of the
// peers, its own first. The root, which knows nothing else, denies all other
// names. Questions without RD are still answered authoritatively, so that one
// server can be both.
func (s *Server) Recursive(peers ...*Server) error {
	s.mu.Lock()
	_, rooted := s.zones["."]
	s.recursive = true
	s.peers = peers
	s.world = nil
	s.mu.Unlock()
	if rooted {
		return nil
	}
	return s.SetZone(".", "")
}

// Authentic makes a recursive server set AD on answers from the zone, as if it
// had validated them, where the asker shows that it understands AD or DO.
func (s *Server) Authentic(origin string, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed[canonical(origin)] = yes
}

// answer builds the answer of a server in good health.
func (s *Server) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	s.mu.Lock()
	recursive := s.recursive && q.RecursionDesired
	below := s.visible()
	defer s.mu.Unlock()
	zones := s.zones
	if recursive {
		zones = below
	}
	l := lookup{zones: zones, below: below, msg: m, recursive: recursive}
	l.run(canonical(q.Question[0].Name), q.Question[0].Qtype)
	m.RecursionAvailable = s.recursive
	if recursive {
		m.Authoritative = false
		m.AuthenticatedData = asksAD(q) && l.allIn(s.signed) && m.Rcode != dns.RcodeServerFailure
	}
	return m
}

func asksAD(q *dns.Msg) bool {
	opt := q.IsEdns0()
	return q.AuthenticatedData || opt != nil && opt.Do()
}

// visible returns the zones of the Internet the server lives in, its own before
// its peers'. It is called, and returns, with s.mu held.
func (s *Server) visible() map[string]*zone {
	if !s.recursive {
		return s.zones
	}
	changes := s.changes.Load()
	for _, p := range s.peers {
		changes += p.changes.Load()
	}
	if s.world != nil && changes == s.worldAt {
		return s.world
	}
	all, peers := s.snapshot(), s.peers
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.world, s.worldAt = all, changes
	}()
	for _, p := range peers {
		p.mu.Lock()
		for apex, z := range p.snapshot() {
			if _, taken := all[apex]; !taken {
				all[apex] = z
			}
		}
		p.mu.Unlock()
	}
	return all
}

// snapshot copies the zones, with s.mu held.
func (s *Server) snapshot() map[string]*zone {
	zones := make(map[string]*zone, len(s.zones))
	for apex, z := range s.zones {
		c := &zone{apex: apex, nodes: make(map[string][]dns.RR, len(z.nodes))}
		for name, rrs := range z.nodes {
			c.nodes[name] = rrs[:len(rrs):len(rrs)]
		}
		zones[apex] = c
	}
	return zones
}

// lookup is RFC 1034, section 4.3.2, step by step.
type lookup struct {
	zones     map[string]*zone // to answer from
	below     map[string]*zone // of the whole Internet, whose apexes all exist
	msg       *dns.Msg
	recursive bool
	used      []string // apexes of the zones answered from
}

func (l *lookup) run(name string, qtype uint16) {
	for range maxChain {
		next := l.step(name, qtype)
		if next == "" {
			return
		}
		name = next
	}
	if l.recursive { // a loop, or too long a chain
		l.msg.Answer, l.msg.Rcode = nil, dns.RcodeServerFailure
	}
}

// step answers for one name and returns the CNAME target to go on with, or "".
func (l *lookup) step(name string, qtype uint16) string {
	z := l.zoneFor(name, qtype)
	if z == nil {
		if len(l.msg.Answer) == 0 {
			l.msg.Rcode = dns.RcodeRefused
		}
		return ""
	}
	l.used = append(l.used, z.apex)
	if cut := z.delegation(name, qtype); cut != "" {
		l.refer(z, cut)
		return ""
	}
	if len(l.msg.Answer) == 0 {
		l.msg.Authoritative = true
	}
	if rr := z.dname(name); rr != nil {
		return l.substitute(rr, name)
	}
	owner := z.match(name)
	if owner == "" {
		if !l.above(name) {
			l.msg.Rcode = dns.RcodeNameError
		}
		l.deny(z)
		return ""
	}
	if rrs := rename(z.records(owner, qtype), name); len(rrs) > 0 {
		l.msg.Answer = append(l.msg.Answer, rrs...)
		return ""
	}
	if rrs := rename(z.records(owner, dns.TypeCNAME), name); len(rrs) > 0 {
		l.msg.Answer = append(l.msg.Answer, rrs[0])
		return canonical(rrs[0].(*dns.CNAME).Target)
	}
	l.deny(z)
	return ""
}

// zoneFor returns the zone that answers; DS belongs to the parent's side.
func (l *lookup) zoneFor(name string, qtype uint16) *zone {
	if qtype == dns.TypeDS && name != "." {
		if z := longest(l.zones, parent(name)); z != nil {
			return z
		}
	}
	return longest(l.zones, name)
}

// above reports whether a zone lies below name, which therefore exists.
func (l *lookup) above(name string) bool {
	for apex := range l.below {
		if dns.IsSubDomain(name, apex) {
			return true
		}
	}
	return false
}

// deny puts the SOA where negative answers have it (RFC 2308, section 3).
func (l *lookup) deny(z *zone) {
	if soa := z.soa(); soa != nil {
		rr := dns.Copy(soa)
		rr.Header().Ttl = min(soa.Hdr.Ttl, soa.Minttl)
		l.msg.Ns = append(l.msg.Ns, rr)
	}
}

// refer answers with the name servers of a delegated zone and their addresses;
// a resolver that can't reach them says SERVFAIL.
func (l *lookup) refer(z *zone, cut string) {
	if l.recursive {
		l.msg.Rcode = dns.RcodeServerFailure
		return
	}
	l.msg.Ns = z.records(cut, dns.TypeNS)
	for _, rr := range l.msg.Ns {
		host := canonical(rr.(*dns.NS).Ns)
		l.msg.Extra = append(l.msg.Extra, z.records(host, dns.TypeA)...)
		l.msg.Extra = append(l.msg.Extra, z.records(host, dns.TypeAAAA)...)
	}
}

// substitute follows a DNAME (RFC 6672, section 3).
func (l *lookup) substitute(rr *dns.DNAME, name string) string {
	target := strings.TrimSuffix(name, canonical(rr.Hdr.Name)) + canonical(rr.Target)
	if _, ok := dns.IsDomainName(target); !ok || len(target) > 254 {
		l.msg.Rcode = dns.RcodeYXDomain
		return ""
	}
	cname := &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: rr.Hdr.Ttl}, Target: target}
	l.msg.Answer = append(l.msg.Answer, dns.Copy(rr), cname)
	return target
}

func (l *lookup) allIn(signed map[string]bool) bool {
	for _, apex := range l.used {
		if !signed[apex] {
			return false
		}
	}
	return len(l.used) > 0
}

// delegation returns the highest cut between the apex and name, or "".
func (z *zone) delegation(name string, qtype uint16) string {
	cut := ""
	for n := name; n != z.apex && n != "."; n = parent(n) {
		if len(z.records(n, dns.TypeNS)) > 0 && (n != name || qtype != dns.TypeDS) {
			cut = n
		}
	}
	return cut
}

// dname returns the DNAME above name, or nil.
func (z *zone) dname(name string) *dns.DNAME {
	for n := name; n != z.apex && n != "."; {
		n = parent(n)
		if rrs := z.records(n, dns.TypeDNAME); len(rrs) > 0 {
			return rrs[0].(*dns.DNAME)
		}
	}
	return nil
}

// match returns the node that answers for name: itself, or the wildcard below
// its closest encloser (RFC 4592, section 3.3.1), or "" where there is none.
func (z *zone) match(name string) string {
	if z.exists(name) {
		return name
	}
	encloser := name
	for encloser != z.apex && !z.exists(encloser) {
		encloser = parent(encloser)
	}
	wildcard := "*." + strings.TrimPrefix(encloser, ".")
	if len(z.nodes[wildcard]) > 0 {
		return wildcard
	}
	return ""
}

func rename(rrs []dns.RR, owner string) []dns.RR {
	for _, rr := range rrs {
		rr.Header().Name = owner
	}
	return rrs
}
