package dnstest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// defaultTTL is that of records whose text names none, in seconds.
const defaultTTL = 300

// zone holds the records of one zone, by canonical owner name.
type zone struct {
	apex  string
	nodes map[string][]dns.RR
}

// SetZone replaces the zone origin by text, a zone file (RFC 1035, section 5)
// in which relative names are below origin and records without a TTL have 300
// seconds. A zone without SOA gets one with a minimum of 60 s; a zone without
// NS at its apex gets "ns.ORIGIN", with the server's own address.
func (s *Server) SetZone(origin, text string) error {
	z := &zone{apex: canonical(origin), nodes: map[string][]dns.RR{}}
	p := dns.NewZoneParser(strings.NewReader(text), z.apex, "")
	p.SetDefaultTTL(defaultTTL)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if !dns.IsSubDomain(z.apex, rr.Header().Name) {
			return fmt.Errorf("zone %s: %s is outside", origin, rr.Header().Name)
		}
		z.add(rr)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("zone %s: %w", origin, err)
	}
	if err := z.complete(s.addr.Addr().String()); err != nil {
		return fmt.Errorf("zone %s: %w", origin, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones[z.apex] = z
	s.changes.Add(1)
	return nil
}

// RemoveZone makes the server forget the zone.
func (s *Server) RemoveZone(origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, canonical(origin))
	s.changes.Add(1)
}

// Add adds records, each a line of a zone file with absolute name, to the
// zones that hold them.
func (s *Server) Add(lines ...string) error {
	for _, line := range lines {
		p := dns.NewZoneParser(strings.NewReader(line), ".", "")
		p.SetDefaultTTL(defaultTTL)
		rr, _ := p.Next()
		if err := p.Err(); err != nil {
			return fmt.Errorf("add record %q: %w", line, err)
		}
		if rr == nil {
			return fmt.Errorf("add record %q: no record in it", line)
		}
		if err := s.insert(rr); err != nil {
			return err
		}
	}
	return nil
}

// AddTXT adds a TXT record whose character-strings are the given ones, byte for
// byte; a string longer than 255 bytes is cut into several.
func (s *Server) AddTXT(name string, texts ...string) error {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: canonical(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: defaultTTL}}
	for _, text := range texts {
		for len(text) > 255 {
			rr.Txt = append(rr.Txt, escape(text[:255]))
			text = text[255:]
		}
		rr.Txt = append(rr.Txt, escape(text))
	}
	return s.insert(rr)
}

func (s *Server) insert(rr dns.RR) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := longest(s.zones, canonical(rr.Header().Name))
	if z == nil {
		return fmt.Errorf("add record %s: no zone holds it", rr.Header().Name)
	}
	z.add(rr)
	s.changes.Add(1)
	return nil
}

// Remove removes the records of name of that type, or all if rrtype is "".
func (s *Server) Remove(name, rrtype string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = canonical(name)
	if z := longest(s.zones, name); z != nil {
		z.remove(name, dns.StringToType[strings.ToUpper(rrtype)])
		s.changes.Add(1)
	}
}

func (z *zone) add(rr dns.RR) {
	name := canonical(rr.Header().Name)
	z.nodes[name] = append(z.nodes[name], rr)
}

// remove takes type 0 for all.
func (z *zone) remove(name string, rrtype uint16) {
	var kept []dns.RR
	for _, rr := range z.nodes[name] {
		if rrtype != 0 && rr.Header().Rrtype != rrtype {
			kept = append(kept, rr)
		}
	}
	if kept == nil {
		delete(z.nodes, name)
		return
	}
	z.nodes[name] = kept
}

// complete adds the SOA and NS records a zone can't be without.
func (z *zone) complete(address string) error {
	var lines []string
	ns := "ns." + strings.TrimPrefix(z.apex, ".")
	if z.soa() == nil {
		lines = append(lines, fmt.Sprintf("%s 300 IN SOA %s hostmaster.%s 1 3600 600 86400 60", z.apex, ns, strings.TrimPrefix(z.apex, ".")))
	}
	if len(z.records(z.apex, dns.TypeNS)) == 0 {
		lines = append(lines, fmt.Sprintf("%s 300 IN NS %s", z.apex, ns))
		if _, taken := z.nodes[ns]; !taken {
			rrtype := "A"
			if strings.Contains(address, ":") {
				rrtype = "AAAA"
			}
			lines = append(lines, fmt.Sprintf("%s 300 IN %s %s", ns, rrtype, address))
		}
	}
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			return err
		}
		z.add(rr)
	}
	return nil
}

func (z *zone) soa() *dns.SOA {
	for _, rr := range z.nodes[z.apex] {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// records returns copies, so that a reply may be written while the zone changes.
func (z *zone) records(name string, rrtype uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range z.nodes[name] {
		if rrtype == dns.TypeANY || rr.Header().Rrtype == rrtype {
			found = append(found, dns.Copy(rr))
		}
	}
	return found
}

// exists reports whether name has records or has names below it (an empty
// non-terminal).
func (z *zone) exists(name string) bool {
	if len(z.nodes[name]) > 0 {
		return true
	}
	for n := range z.nodes {
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

// longest returns the zone with the longest apex at or above name, or nil.
func longest(zones map[string]*zone, name string) *zone {
	for {
		if z, ok := zones[name]; ok {
			return z
		}
		if name == "." {
			return nil
		}
		name = parent(name)
	}
}

func canonical(name string) string { return dns.CanonicalName(name) }

func display(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

func parent(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// escape writes bytes in the presentation form miekg/dns keeps TXT strings in.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
