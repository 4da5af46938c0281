package advise

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func addresses(list ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestMergeSPF(t *testing.T) {
	both := addresses("203.0.113.9", "2001:db8::9")
	for _, c := range []struct {
		name      string
		published []string
		add       []netip.Addr
		want      string
		notes     int
	}{
		{"missing", nil, both, "v=spf1 ip4:203.0.113.9 ip6:2001:db8::9 ~all", 0},
		{"softfail", []string{"v=spf1 include:_spf.example.net ~all"}, both[:1],
			"v=spf1 ip4:203.0.113.9 include:_spf.example.net ~all", 0},
		{"hard fail stays", []string{"v=spf1 mx -all"}, both[1:], "v=spf1 ip6:2001:db8::9 mx -all", 0},
		{"before a mechanism that fails it", []string{"v=spf1 -ip4:203.0.113.0/24 ?all"}, both[:1],
			"v=spf1 ip4:203.0.113.9 -ip4:203.0.113.0/24 ?all", 0},
		{"only the version", []string{"v=spf1"}, both[:1], "v=spf1 ip4:203.0.113.9", 0},
		{"redirect", []string{"v=spf1 redirect=_spf.example.net"}, both[:1],
			"v=spf1 ip4:203.0.113.9 redirect=_spf.example.net", 0},
		{"macros, odd case, several spaces", []string{"V=SPF1   Exists:%{i}._spf.%{d2}  exp=e.%{d} -ALL"}, both[:1],
			"v=spf1 ip4:203.0.113.9 Exists:%{i}._spf.%{d2} exp=e.%{d} -ALL", 0},
		{"listed already", []string{"v=spf1 ip4:203.0.113.9 a -all"}, both[:1], "v=spf1 ip4:203.0.113.9 a -all", 0},
		{"nothing to add", []string{"v=spf1 a -all"}, nil, "v=spf1 a -all", 0},
		{"mapped address, and twice", nil, addresses("::ffff:203.0.113.9", "203.0.113.9"), "v=spf1 ip4:203.0.113.9 ~all", 0},
		{"everybody", []string{"v=spf1 mx +all"}, both[:1], "v=spf1 ip4:203.0.113.9 mx ~all", 1},
		{"everybody, unsigned", []string{"v=spf1 all"}, nil, "v=spf1 ~all", 1},
		{"misspelled", []string{"v=spf1 ip:192.0.2.1 -ipv6:2001:db8::/32 ipv4:192.0.2.0/24 ~all"}, nil,
			"v=spf1 ip4:192.0.2.1 -ip6:2001:db8::/32 ip4:192.0.2.0/24 ~all", 3},
		{"several", []string{"v=spf1 include:a.example mx -all", "v=spf1 mx include:b.example ~all"}, both[:1],
			"v=spf1 ip4:203.0.113.9 include:a.example mx include:b.example ~all", 0},
		{"several, one a redirect", []string{"v=spf1 redirect=a.example", "v=spf1 mx -all"}, nil,
			"v=spf1 include:a.example mx ~all", 0},
		{"in a network that is listed", []string{"v=spf1 IP4:203.0.113.0/24 include:a.example -all"}, both[:1], "v=spf1 IP4:203.0.113.0/24 include:a.example -all", 0},
		{"in a network behind one that fails it", []string{"v=spf1 -ip4:203.0.113.8/31 ip4:203.0.113.0/24 -all"}, both[:1],
			"v=spf1 ip4:203.0.113.9 -ip4:203.0.113.8/31 ip4:203.0.113.0/24 -all", 0},
		{"in a network behind a host that may fail it", []string{"v=spf1 -a:old.example ip4:203.0.113.0/24 -all"}, both[:1],
			"v=spf1 ip4:203.0.113.9 -a:old.example ip4:203.0.113.0/24 -all", 0},
		{"in a network behind all", []string{"v=spf1 ?all ip4:203.0.113.0/24"}, both[:1], "v=spf1 ip4:203.0.113.9 ?all ip4:203.0.113.0/24", 1},
		{"address without ip4:", []string{"v=spf1 203.0.113.9 2001:db8::/32 -all"}, both, "v=spf1 ip4:203.0.113.9 ip6:2001:db8::/32 -all", 2},
		{"the other family", []string{"v=spf1 ip6:192.0.2.1 ?ip4:2001:db8::1 -all"}, nil, "v=spf1 ip4:192.0.2.1 ?ip6:2001:db8::1 -all", 2},
		{"address as a host", []string{"v=spf1 a:192.0.2.1 +include:192.0.2.2 mx:mx.example -all"}, nil, "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 mx:mx.example -all", 2},
		{"space after the colon", []string{"v=spf1 ip4: 192.0.2.1 include: a.example -all"}, nil, "v=spf1 ip4:192.0.2.1 include:a.example -all", 0},
		{"dash of a word processor, commas", []string{"v=spf1 a, mx, –all"}, nil, "v=spf1 a mx -all", 3},
		{"commas for spaces", []string{"v=spf1 ip4:192.0.2.1,ip4:192.0.2.2;192.0.2.3,include:a.example ~all"}, nil, "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ip4:192.0.2.3 include:a.example ~all", 2},
		{"a macro's comma", []string{"v=spf1 exists:%{l,}.a.example -all"}, nil, "v=spf1 exists:%{l,}.a.example -all", 0},
		{"a space lost", []string{"v=spf1 ip4:203.0.113.9ip4:198.51.100.0/24ip6:2001:db8::/32-all"}, both[:1], "v=spf1 ip4:203.0.113.9 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all", 1},
		{"includes itself", []string{"v=spf1 include:Example.com. mx -all"}, nil, "v=spf1 mx -all", 1},
		{"two all", []string{"v=spf1 mx ~all -all"}, nil, "v=spf1 mx ~all", 1},
		{"behind all", []string{"v=spf1 mx -all include:a.example redirect=b.example exp=c.example"}, nil,
			"v=spf1 mx -all include:a.example redirect=b.example exp=c.example", 2},
		{"several, without an all", []string{"v=spf1 a", "v=spf1 mx exp=one.example", "v=spf1 exp=two.example"}, nil,
			"v=spf1 a mx ?all exp=one.example", 0},
		{"several, one without an all", []string{"v=spf1 mx", "v=spf1 a -all"}, nil, "v=spf1 mx a ?all", 0},
		{"several, one for everybody", []string{"v=spf1 -all", "v=spf1 +all"}, nil, "v=spf1 ~all", 1},
		{"too many lookups", []string{"v=spf1 a mx ptr exists:a.b include:1.b include:2.b include:3.b include:4.b include:5.b include:6.b redirect=7.b"},
			nil, "v=spf1 a mx ptr exists:a.b include:1.b include:2.b include:3.b include:4.b include:5.b include:6.b redirect=7.b", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, notes := mergeSPF("example.com", c.published, c.add)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if len(notes) != c.notes {
				t.Errorf("notes: %q, want %d", notes, c.notes)
			}
		})
	}
}

func TestIsSPF(t *testing.T) {
	for txt, want := range map[string]bool{
		"v=spf1": true, "V=Spf1 -all": true, "v=spf10 -all": false, "v=spf1-all": false, "": false, "spf1": false, " v=spf1": false,
	} {
		if isSPF(txt) != want {
			t.Errorf("isSPF(%q) = %v", txt, !want)
		}
	}
}

// What is published by one record stays: every term of it is in the merged
// record, in the same order, but for the ones that are mended.
func FuzzMergeSPF(f *testing.F) {
	f.Add("v=spf1 include:_spf.example.net ~all", "")
	f.Add("v=spf1 redirect=a.example", "v=spf1 mx -all exp=x")
	f.Add("v=spf1 +all ip:1.2.3.4 ::/0", "v=spf1 all")
	f.Add("v=spf1 exists:%{i}.%{d} ?ALL -", "v=spf1")
	add := addresses("203.0.113.9", "2001:db8::9")
	f.Fuzz(func(t *testing.T, first, second string) {
		if !isSPF(first) {
			return
		}
		got, _ := mergeSPF("example.com", []string{first}, add)
		checkMerged(t, got, first)
		if again, _ := mergeSPF("example.com", []string{got}, add); again != got {
			t.Errorf("merged once %q, twice %q", got, again)
		}
		if !isSPF(second) {
			return
		}
		got, _ = mergeSPF("example.com", []string{first, second}, add)
		checkMerged(t, got, "")
		if n := countTerms(got, "all"); n != 1 {
			t.Errorf("%q and %q give %q with %d all", first, second, got, n)
		}
		if countTerms(got, "redirect") > 0 || countTerms(got, "exp") > 1 {
			t.Errorf("%q and %q give %q", first, second, got)
		}
	})
}

func FuzzSalvage(f *testing.F) {
	f.Add("\"v=spf1 include:a.example ~all\"")
	f.Add("“V=SPF1;ip4:192.0.2.1,-all")
	f.Add("\u212av=spf1")
	f.Fuzz(func(t *testing.T, txt string) {
		if terms, ok := salvage(txt); ok && !isSPF(terms.String()) {
			t.Errorf("%q gives %q", txt, terms)
		}
	})
}

func checkMerged(t *testing.T, got, old string) {
	t.Helper()
	terms := parseSPF(got)
	if !isSPF(got) || !allowed(terms, "203.0.113.9") || !allowed(terms, "2001:db8::9") {
		t.Fatalf("%q gives %q", old, got)
	}
	for _, term := range parseSPF(old).rejoined() {
		i := slices.Index(terms, term)
		if mended, _ := (spfTerms{term}).mended("example.com"); i < 0 && slices.Equal(mended, spfTerms{term}) && countTerms("v=spf1 "+term, "all") == 0 {
			t.Fatalf("%q gives %q without %q", old, got, term)
		}
		terms = terms[max(i, 0):]
	}
}

// allowed reports that the address passes before anything else is looked at.
func allowed(terms spfTerms, address string) bool {
	a := netip.MustParseAddr(address)
	return slices.Contains(terms, addressTerm(a)) || terms.allow(a)
}

func countTerms(record, name string) int {
	n := 0
	for _, term := range strings.Fields(record)[1:] {
		if got, _ := spfTerm(term); got == name {
			n++
		}
	}
	return n
}
