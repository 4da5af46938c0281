package dnsview

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: "plain", `a\"b`: `a"b`, `a\\b`: `a\b`, `\001\255`: "\x01\xff", `\;`: ";",
		`end\`: `end\`, `\25`: "25", `\999`: "999", `\\065`: `\065`, ``: "",
	} {
		if got := Unescape(in); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

// What goes over the wire comes back byte for byte.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte("v=DKIM1; p=\"\\\x00\xff"))
	f.Add([]byte(`\`))
	f.Fuzz(func(t *testing.T, text []byte) {
		Unescape(string(text))
		if len(text) > 255 {
			text = text[:255]
		}
		size := byte(len(text))
		wire := []byte{0, 0, 16, 0, 1, 0, 0, 0, 0, 0, size + 1, size} // root, TXT, IN, TTL 0, length
		if size == 255 {
			wire[9], wire[10] = 1, 0
		}
		rr, _, err := dns.UnpackRR(append(wire, text...), 0)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := newRecord(rr)
		if !ok || r.Text != string(text) {
			t.Errorf("%q came back as %q", text, r.Text)
		}
	})
}

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// message builds a reply to q with id 7; a line that begins with "!" goes to
// the authority section.
func message(t testing.TB, q question, rcode int, lines ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.Id, m.Response, m.Rcode = 7, true, rcode
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "!"); ok {
			m.Ns = append(m.Ns, rr(t, text))
			continue
		}
		m.Answer = append(m.Answer, rr(t, line))
	}
	return m
}

var asked = question{"a.example.com.", dns.TypeTXT}

func TestParseReply(t *testing.T) {
	good := message(t, asked, 0, "a.example.com. 60 TXT x")
	for name, c := range map[string]struct {
		change func(*dns.Msg)
		err    error
	}{
		"good":                  {func(m *dns.Msg) {}, nil},
		"other case":            {func(m *dns.Msg) { m.Question[0].Name = "A.exAMple.com." }, nil},
		"another id":            {func(m *dns.Msg) { m.Id = 8 }, errMismatched},
		"a query":               {func(m *dns.Msg) { m.Response = false }, errMismatched},
		"an update":             {func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, errMismatched},
		"another name":          {func(m *dns.Msg) { m.Question[0].Name = "b.example.com." }, errMismatched},
		"another type":          {func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, errMismatched},
		"another class":         {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, errMismatched},
		"no question":           {func(m *dns.Msg) { m.Question = nil }, errMismatched},
		"error without one":     {func(m *dns.Msg) { m.Question, m.Answer, m.Rcode = nil, nil, dns.RcodeRefused }, nil},
		"denial without one":    {func(m *dns.Msg) { m.Question, m.Answer, m.Rcode = nil, nil, dns.RcodeNameError }, errMismatched},
		"two questions":         {func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, errMismatched},
		"truncated, well made":  {func(m *dns.Msg) { m.Truncated = true }, nil},
		"nothing but a header":  {func(m *dns.Msg) { *m = dns.Msg{MsgHdr: m.MsgHdr} }, errMismatched},
		"a name with an escape": {func(m *dns.Msg) { m.Question[0].Name = `\097.example.com.` }, nil},
	} {
		m := good.Copy()
		c.change(m)
		if _, err := parseReply(packed(t, m), 7, asked); err != c.err {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	whole := packed(t, good)
	for n := range whole {
		if _, err := parseReply(whole[:n], 7, asked); err == nil {
			t.Errorf("a reply of %d octets, cut to %d, was taken", len(whole), n)
		}
	}
	whole[2] |= 0x02
	if m, err := parseReply(whole[:len(whole)-3], 7, asked); err != nil || !m.Truncated {
		t.Errorf("a truncated reply cut within a record: %v", err)
	}
}

func TestRead(t *testing.T) {
	const soa = "!example.com. 900 SOA ns h 1 1 1 1 60"
	for name, c := range map[string]struct {
		rcode  int
		lines  []string
		status Status
		texts  []string
		chain  []string
		ttl    uint32
	}{
		"found":         {0, []string{"A.Example.com. 60 TXT x"}, Found, []string{"x"}, nil, 60},
		"several":       {0, []string{"a.example.com. 60 TXT y", "a.example.com. 30 TXT x"}, Found, []string{"x", "y"}, nil, 30},
		"repeated":      {0, []string{"a.example.com. 60 TXT x", "a.example.com. 60 TXT x"}, Found, []string{"x"}, nil, 60},
		"another owner": {0, []string{"b.example.com. 60 TXT x"}, NoData, []string{}, nil, noTTL},
		"another class": {0, []string{"a.example.com. 60 CH TXT x"}, NoData, []string{}, nil, noTTL},
		"another type":  {0, []string{"a.example.com. 60 A 192.0.2.1"}, NoData, []string{}, nil, noTTL},
		"nodata":        {0, []string{soa}, NoData, []string{}, nil, 60},
		"nxdomain":      {dns.RcodeNameError, []string{soa}, NXDomain, []string{}, nil, 60},
		"failure":       {dns.RcodeServerFailure, nil, Unknown, []string{}, nil, noTTL},
		"alias":         {0, []string{"b.example.com. 9 TXT x", "a.example.com. 20 CNAME B.example.com."}, Found, []string{"x"}, []string{"b.example.com."}, 9},
		"alias denied":  {dns.RcodeNameError, []string{"a.example.com. 20 CNAME b.example.com.", soa}, NXDomain, []string{}, []string{"b.example.com."}, 20},
		"loop":          {0, []string{"a.example.com. 20 CNAME a.example.com."}, NoData, []string{}, []string{"a.example.com."}, 20},
		"two aliases":   {0, []string{"a.example.com. 20 CNAME c.", "a.example.com. 20 CNAME b.", "b. 5 TXT x"}, Found, []string{"x"}, []string{"b."}, 5},
	} {
		d := read(message(t, asked, c.rcode, c.lines...), asked)
		texts := Answer{Records: d.records}.Texts()
		if d.status != c.status || !slices.Equal(texts, c.texts) || !slices.Equal(d.chain, c.chain) || d.ttl != c.ttl {
			t.Errorf("%s: %s %q via %q ttl %d", name, d.status, texts, d.chain, d.ttl)
		}
	}
}

func TestApexFrom(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"the apex itself":     {[]string{"a.example.com. SOA n h 1 1 1 1 1"}, "a.example.com."},
		"denial":              {[]string{"!example.com. SOA n h 1 1 1 1 1"}, "example.com."},
		"denial by the root":  {[]string{"!. SOA n h 1 1 1 1 1"}, "."},
		"alias":               {[]string{"a.example.com. CNAME b.example.net.", "!example.net. SOA n h 1 1 1 1 1"}, ""},
		"alias to its parent": {[]string{"a.example.com. CNAME b.example.com.", "!example.com. SOA n h 1 1 1 1 1"}, ""},
		"of another name":     {[]string{"!example.net. SOA n h 1 1 1 1 1"}, ""},
		"of a name below":     {[]string{"!b.a.example.com. SOA n h 1 1 1 1 1"}, ""},
		"of a like name":      {[]string{"!ample.com. SOA n h 1 1 1 1 1"}, ""},
		"nothing":             {nil, ""},
	} {
		if got, _, _ := apexFrom(message(t, question{asked.name, dns.TypeSOA}, 0, c.lines...), asked.name); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRecords(t *testing.T) {
	for text, want := range map[string]string{
		"x. A 192.0.2.1":              "192.0.2.1",
		"x. AAAA 2001:DB8::0:1":       "2001:db8::1",
		"x. MX 0 .":                   ".",
		"x. MX 5 Mail.Example.":       "mail.example",
		"x. PTR Host.Example.":        "host.example",
		"x. TLSA 3 1 1 ABCDEF":        "3 1 1 abcdef",
		`x. SPF "v=spf1 " "-all"`:     "v=spf1 -all",
		`x. TXT "a;b" "\"c"`:          `a;b"c`,
		"x. SOA Ns.X. h.x. 1 1 1 1 1": "ns.x",
	} {
		r, ok := newRecord(rr(t, text))
		if !ok || r.Text != want {
			t.Errorf("%s: %q, want %q", text, r.Text, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add(packed(f, message(f, asked, 0, "a.example.com. 60 TXT x")))
	f.Add(packed(f, message(f, asked, 3, "a.example.com. 60 CNAME a.example.com.", "!example.com. SOA n h 1 1 1 1 1")))
	f.Add(packed(f, message(f, asked, 0, "!b.example.com. NS n.b.example.com.")))
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, q := range []question{asked, {asked.name, dns.TypeSOA}, {asked.name, dns.TypeMX}} {
			m, err := parseReply(packet, 7, q)
			if err != nil {
				continue
			}
			d := read(m, q)
			if d.status == Found != (len(d.records) > 0) {
				t.Errorf("%s with %d records", d.status, len(d.records))
			}
			if len(d.chain) > maxCNAMEs+1 {
				t.Errorf("%d CNAMEs", len(d.chain))
			}
			judge([]reply{{msg: m}, {msg: m}}, q)
			referral(m, "example.com.", q.name)
			apexFrom(m, q.name)
			explain(m)
			lameness(m)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("mail._domainkey.example.com")
	f.Add(`o'br\ien@x;."y".`)
	f.Fuzz(func(t *testing.T, name string) {
		fqdn, problem := parseName(name)
		if problem != "" {
			return
		}
		wire := make([]byte, 300)
		n, err := dns.PackDomainName(fqdn, wire, 0, nil, false)
		if err != nil {
			t.Fatalf("%q as %q: %v", name, fqdn, err)
		}
		back, _, err := dns.UnpackDomainName(wire[:n], 0)
		if err != nil || back != fqdn {
			t.Errorf("%q as %q came back as %q, %v", name, fqdn, back, err)
		}
	})
}

func TestReverseName(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.9":        "9.113.0.203.in-addr.arpa",
		"::ffff:203.0.113.9": "9.113.0.203.in-addr.arpa",
		"2001:db8::9":        "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		"fe80::1%eth0":       "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa",
	} {
		if got := ReverseName(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := ReverseName(netip.Addr{}); got != "" {
		t.Errorf("no address: %s", got)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"resolver by name": {Resolvers: []string{"dns.example.com"}},
		"resolver's port":  {Resolvers: []string{"127.0.0.1:dns"}},
		"panel's port":     {Panel: "panel.example.com:0"},
		"panel's name":     {Panel: "panel..example.com"},
		"port":             {AuthorityPort: 70000},
		"time-out":         {Timeout: -1},
		"entries":          {MaxEntries: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	o, err := Options{Resolvers: []string{"127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353", "[::1]"}}.complete()
	if want := []string{"127.0.0.1:53", "127.0.0.1:5353", "[::1]:53", "[::1]:5353", "[::1]:53"}; err != nil || !slices.Equal(o.Resolvers, want) {
		t.Errorf("%q, %v", o.Resolvers, err)
	}
	for _, tt := range []struct{ lookup, timeout, wantLookup, wantTimeout time.Duration }{
		{0, 0, 5 * time.Second, 1500 * time.Millisecond},
		{time.Minute, 0, time.Minute, 18 * time.Second},
		{time.Minute, time.Second, time.Minute, time.Second},
	} {
		o, err := Options{LookupTime: tt.lookup, Timeout: tt.timeout}.complete()
		if err != nil || o.LookupTime != tt.wantLookup || o.Timeout != tt.wantTimeout {
			t.Errorf("%+v: %s and %s, %v", tt, o.LookupTime, o.Timeout, err)
		}
	}
}

func TestSystemResolvers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if got := systemResolvers(path); !slices.Equal(got, []string{"127.0.0.1:53"}) {
		t.Errorf("without the file: %q", got)
	}
	if err := os.WriteFile(path, []byte("# x\nsearch example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := systemResolvers(path); !slices.Equal(got, []string{"192.0.2.1:53", "[2001:db8::1]:53"}) {
		t.Errorf("%q", got)
	}
}
