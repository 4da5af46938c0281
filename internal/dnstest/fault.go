package dnstest

import (
	"time"

	"github.com/miekg/dns"
)

// Fault is a way to answer badly.
type Fault string

const (
	None          Fault = ""
	Timeout       Fault = "timeout"        // no answer at all
	ServFail      Fault = "servfail"       // SERVFAIL
	Refused       Fault = "refused"        // REFUSED
	NXDomain      Fault = "nxdomain"       // NXDOMAIN with AA, but no SOA
	Truncate      Fault = "truncate"       // TC and no records over UDP; TCP works
	TruncateMute  Fault = "truncate-mute"  // TC over UDP, silence over TCP
	Lame          Fault = "lame"           // AA clear and no records
	NoAA          Fault = "no-aa"          // a good answer without AA, as from a cache
	Garbage       Fault = "garbage"        // bytes that aren't a DNS message
	WrongID       Fault = "wrong-id"       // a good answer under another id
	WrongQuestion Fault = "wrong-question" // a good answer to another question
	HalfTCP       Fault = "half-tcp"       // TC over UDP, half a reply over TCP
	NoEDNS        Fault = "no-edns"        // FORMERR to any question with EDNS
	Bogus         Fault = "bogus"          // SERVFAIL with the extended error "DNSSEC Bogus" (RFC 8914)
)

const everyName = "*"

// Fault makes the server answer questions for name badly from now on; name ""
// stands for every name without a fault of its own, and None ends it. A
// recursive server reads its peers' zones, not their faults.
func (s *Server) Fault(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == None {
		delete(s.faults, ordered(name))
		return
	}
	s.faults[ordered(name)] = f
}

// Delay makes the server wait before it answers questions for name, or for
// every name without a delay of its own if name is ""; 0 ends it.
func (s *Server) Delay(name string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delays[ordered(name)] = d
}

func ordered(name string) string {
	if name == "" {
		return everyName
	}
	return canonical(name)
}

// apply turns the good answer m to q into bytes, as the fault has it.
func (f Fault) apply(q, m *dns.Msg, network string) *reply {
	udp := network == "udp"
	switch f {
	case Timeout:
		return nil
	case Garbage:
		return &reply{bytes: []byte("\x00\x01 this is no DNS message")}
	case ServFail, Bogus:
		m = failure(q, dns.RcodeServerFailure)
	case Refused:
		m = failure(q, dns.RcodeRefused)
	case NXDomain:
		m = failure(q, dns.RcodeNameError)
		m.Authoritative = true
	case Lame:
		m = failure(q, dns.RcodeSuccess)
	case NoAA:
		m.Authoritative = false
	case WrongID:
		m.Id++
	case WrongQuestion:
		m.Question = []dns.Question{{Name: "elsewhere.invalid.", Qtype: q.Question[0].Qtype, Qclass: dns.ClassINET}}
	case NoEDNS:
		if q.IsEdns0() != nil {
			m = failure(q, dns.RcodeFormatError)
		}
	case Truncate, TruncateMute, HalfTCP:
		if udp {
			m = failure(q, dns.RcodeSuccess)
			m.Truncated = true
		} else if f == TruncateMute {
			return nil
		}
	}
	if f == Bogus {
		explainBogus(m)
	}
	return pack(q, m, udp, f == HalfTCP)
}

func failure(q *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(q, rcode)
	return m
}

func explainBogus(m *dns.Msg) {
	m.SetEdns0(1232, false)
	opt := m.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus})
}

// pack cuts a UDP reply to what the asker can take, setting TC (RFC 6891,
// section 6.2.5).
func pack(q, m *dns.Msg, udp, half bool) *reply {
	m.Compress = true
	if udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		m.Truncate(size)
	}
	b, err := m.Pack()
	if err != nil {
		if b, err = failure(q, dns.RcodeServerFailure).Pack(); err != nil {
			return nil
		}
	}
	return &reply{bytes: b, half: half && !udp}
}
