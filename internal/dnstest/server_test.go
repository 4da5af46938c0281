package dnstest

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

const zoneText = `
@             SOA   ns1 hostmaster 7 3600 600 86400 120
              NS    ns1
ns1           A     127.0.0.1
www      60   A     192.0.2.1
alias         CNAME www
away          CNAME host.example.net.
loop          CNAME loop2
loop2         CNAME loop
*.wild        TXT   "any"
a.deep        A     192.0.2.2
_domainkey    NS    ns1.keys
ns1.keys      A     127.0.0.9
old           DNAME new.example.net.
`

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func set(t *testing.T, s *Server, origin, text string) {
	t.Helper()
	if err := s.SetZone(origin, text); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, s *Server, network, name string, qtype uint16, rd bool) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	q.RecursionDesired = rd
	q.AuthenticatedData = true
	r, _, err := (&dns.Client{Net: network, Timeout: time.Minute}).Exchange(q, s.Addr())
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return r
}

// sketch writes a reply in one line: rcode, flags, then records by section.
func sketch(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	if m.Authoritative {
		out = append(out, "aa")
	}
	if m.RecursionAvailable {
		out = append(out, "ra")
	}
	if m.AuthenticatedData {
		out = append(out, "ad")
	}
	for mark, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			f := dns.Field(rr, 1)
			out = append(out, "="+strconv.Itoa(mark), display(canonical(rr.Header().Name)), dns.TypeToString[rr.Header().Rrtype], f)
		}
	}
	return strings.Join(out, " ")
}

func TestAuthoritative(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", zoneText)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.example.com", dns.TypeA, "NOERROR aa =0 www.example.com A 192.0.2.1"},
		{"WWW.Example.com", dns.TypeA, "NOERROR aa =0 www.example.com A 192.0.2.1"},
		{"www.example.com", dns.TypeTXT, "NOERROR aa =1 example.com SOA ns1.example.com."},
		{"none.example.com", dns.TypeA, "NXDOMAIN aa =1 example.com SOA ns1.example.com."},
		{"deep.example.com", dns.TypeA, "NOERROR aa =1 example.com SOA ns1.example.com."},
		{"alias.example.com", dns.TypeA, "NOERROR aa =0 alias.example.com CNAME www.example.com. =0 www.example.com A 192.0.2.1"},
		{"alias.example.com", dns.TypeCNAME, "NOERROR aa =0 alias.example.com CNAME www.example.com."},
		{"away.example.com", dns.TypeA, "NOERROR aa =0 away.example.com CNAME host.example.net."},
		{"x.y.wild.example.com", dns.TypeTXT, "NOERROR aa =0 x.y.wild.example.com TXT any"},
		{"s._domainkey.example.com", dns.TypeTXT, "NOERROR =1 _domainkey.example.com NS ns1.keys.example.com. =2 ns1.keys.example.com A 127.0.0.9"},
		{"h.old.example.com", dns.TypeA, "NOERROR aa =0 old.example.com DNAME new.example.net. =0 h.old.example.com CNAME h.new.example.net."},
		{"example.org", dns.TypeA, "REFUSED"},
	} {
		if got := sketch(ask(t, s, "udp", c.name, c.qtype, false)); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
}

func TestNegativeTTL(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", zoneText)
	if ttl := ask(t, s, "udp", "none.example.com", dns.TypeA, false).Ns[0].Header().Ttl; ttl != 120 {
		t.Errorf("negative TTL %d, want the SOA minimum 120", ttl)
	}
}

func TestRecursive(t *testing.T) {
	front, a, b := start(t), start(t), start(t)
	set(t, a, "example.com", zoneText)
	set(t, b, "example.net", "host A 192.0.2.9")
	if err := front.Recursive(a, b); err != nil {
		t.Fatal(err)
	}
	front.Authentic("example.net", true)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"away.example.com", dns.TypeA, "NOERROR ra =0 away.example.com CNAME host.example.net. =0 host.example.net A 192.0.2.9"},
		{"host.example.net", dns.TypeA, "NOERROR ra ad =0 host.example.net A 192.0.2.9"},
		{"loop.example.com", dns.TypeA, "SERVFAIL ra"},
		{"s._domainkey.example.com", dns.TypeTXT, "SERVFAIL ra"},
		{"example.org", dns.TypeA, "NXDOMAIN ra =1 . SOA ns."},
		{"com", dns.TypeTXT, "NOERROR ra =1 . SOA ns."},
		{"example.net", dns.TypeNS, "NOERROR ra ad =0 example.net NS ns.example.net."},
		{"ns.example.net", dns.TypeA, "NOERROR ra ad =0 ns.example.net A 127.0.0.1"},
	} {
		m := ask(t, front, "udp", c.name, c.qtype, true)
		if got := sketch(m); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
	if n := a.Count() + b.Count(); n != 0 {
		t.Errorf("the resolver sent %d queries to its peers", n)
	}
}

func TestTXTBytes(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", "")
	long := strings.Repeat("x", 255)
	if err := s.AddTXT("t.example.com", `a"b\c`+"\x01\xff", long+"y"); err != nil {
		t.Fatal(err)
	}
	txt := ask(t, s, "tcp", "t.example.com", dns.TypeTXT, false).Answer[0].(*dns.TXT).Txt
	if len(txt) != 3 || txt[0] != `a\"b\\c\001\255` || txt[1] != long || txt[2] != "y" {
		t.Errorf("got %q", txt)
	}
}

func TestTruncation(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", "")
	if err := s.AddTXT("t.example.com", strings.Repeat("x", 60_000)); err != nil {
		t.Fatal(err)
	}
	if !ask(t, s, "udp", "t.example.com", dns.TypeTXT, false).Truncated {
		t.Error("no TC over UDP")
	}
	if m := ask(t, s, "tcp", "t.example.com", dns.TypeTXT, false); m.Truncated || len(m.Answer) != 1 {
		t.Error("no whole answer over TCP")
	}
}

func TestAddRemove(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", "www A 192.0.2.1\nwww TXT x")
	if err := s.Add(`mail._domainkey.example.com TXT "v=DKIM1"`); err != nil {
		t.Fatal(err)
	}
	if err := s.Add("example.org A 192.0.2.1"); err == nil {
		t.Error("a record outside every zone was taken")
	}
	if got := len(ask(t, s, "udp", "mail._domainkey.example.com", dns.TypeTXT, false).Answer); got != 1 {
		t.Errorf("%d records", got)
	}
	s.Remove("mail._domainkey.example.com", "TXT")
	s.Remove("www.example.com", "a")
	if got := ask(t, s, "udp", "mail._domainkey.example.com", dns.TypeTXT, false).Rcode; got != dns.RcodeNameError {
		t.Errorf("rcode %d after removal", got)
	}
	if m := ask(t, s, "udp", "www.example.com", dns.TypeA, false); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 {
		t.Errorf("A is still there: %s", sketch(m))
	}
}

func TestFaults(t *testing.T) {
	s := start(t)
	set(t, s, "example.com", zoneText)
	for _, c := range []struct {
		fault Fault
		want  string
	}{
		{ServFail, "SERVFAIL"}, {Refused, "REFUSED"}, {NXDomain, "NXDOMAIN aa"}, {Lame, "NOERROR"},
		{None, "NOERROR aa =0 www.example.com A 192.0.2.1"},
	} {
		s.Fault("www.example.com", c.fault)
		if got := sketch(ask(t, s, "udp", "www.example.com", dns.TypeA, false)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.fault, got, c.want)
		}
	}
}

// Without sockets it answers as over them, and silence lasts as long as anybody waits.
func TestInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, servers := InMemory("127.0.0.1", "127.0.0.2")
		s := servers[0]
		defer servers[1].Close()
		defer s.Close()
		set(t, s, "example.com", zoneText)
		s.Fault("silent.example.com", Timeout)
		s.Delay("late.example.com", time.Hour)
		for _, c := range []struct {
			network, at, name string
			want              string // or a part of the fault
			takes             time.Duration
		}{
			{"udp", s.Addr(), "www.example.com", "NOERROR aa =0 www.example.com A 192.0.2.1", 0},
			{"tcp", s.Addr(), "www.example.com", "NOERROR aa =0 www.example.com A 192.0.2.1", 0},
			{"udp", s.Addr(), "late.example.com", "NXDOMAIN aa =1 example.com SOA ns1.example.com.", time.Hour},
			{"udp", s.Addr(), "silent.example.com", "i/o timeout", 2 * time.Hour},
			{"tcp", s.Addr(), "silent.example.com", "i/o timeout", 2 * time.Hour},
			{"udp", servers[1].Addr(), "www.example.com", "REFUSED", 0},
			{"udp", "127.0.0.3:53", "www.example.com", "connection refused", 0},
		} {
			begun := time.Now()
			got := question(t, memory, c.network, c.at, c.name)
			if !strings.HasPrefix(got, c.want) && !strings.HasSuffix(got, c.want) || time.Since(begun) != c.takes {
				t.Errorf("%s of %s by %s: %s after %s, want %s after %s", c.name, c.at, c.network, got, time.Since(begun), c.want, c.takes)
			}
		}
		if last := s.Queries()[4]; last != (Query{Name: "silent.example.com", Type: "A", Net: "tcp", Recursive: true}) {
			t.Errorf("recorded %+v", last)
		}
		s.Close()
		if got := question(t, memory, "udp", s.Addr(), "www.example.com"); !strings.HasSuffix(got, "connection refused") {
			t.Errorf("after its end: %s", got)
		}
	})
}

// question asks in memory, for two hours at most.
func question(t *testing.T, m *Memory, network, at, name string) string {
	c, err := m.Dial(t.Context(), network, at)
	if err != nil {
		return err.Error()
	}
	conn := &dns.Conn{Conn: c}
	if network == "udp" {
		conn.Conn = packets{c}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Hour))
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	if err := conn.WriteMsg(q); err != nil {
		return err.Error()
	}
	r, err := conn.ReadMsg()
	if err != nil {
		return err.Error()
	}
	return sketch(r)
}

// packets tells the client that writes are packets.
type packets struct{ net.Conn }

func (packets) ReadFrom([]byte) (int, net.Addr, error) { panic("not used") }
func (packets) WriteTo([]byte, net.Addr) (int, error)  { panic("not used") }

func TestStartAll(t *testing.T) {
	servers, err := StartAll("127.0.0.1", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		defer s.Close()
	}
	if servers[0].Port() != servers[1].Port() || servers[0].Addr() == servers[1].Addr() {
		t.Errorf("%s and %s", servers[0].Addr(), servers[1].Addr())
	}
}
