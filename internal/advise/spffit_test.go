package advise

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

// fitAdviser knows some names of DNS: SPF records, and addresses of hosts.
func fitAdviser(records map[string]string, hosts map[string][]string) *adviser {
	a := &adviser{report: &preflight.Report{}}
	a.want.Now = func(name string) Now {
		record, found := records[name]
		switch {
		case record == "silence":
			return Now{}
		case !found:
			return Now{Known: true}
		}
		return Now{Known: true, Values: []string{"other", record}}
	}
	a.want.Addresses = func(host string, mx bool) ([]netip.Addr, bool) {
		if mx {
			host = "mx of " + host
		}
		list, found := hosts[host]
		return addresses(list...), found
	}
	return a
}

// many is so many a: terms of somebody else.
func many(n int) string {
	var terms []string
	for i := range n {
		terms = append(terms, fmt.Sprintf("a:h%d.example.net", i))
	}
	return strings.Join(terms, " ")
}

func TestFit(t *testing.T) {
	records := map[string]string{
		"ten.example.net": "v=spf1 " + many(9) + " -all", "loop.example.net": "v=spf1 include:loop.example.net -all",
		"silent.example.net": "silence", "redirect.example.net": "v=spf1 redirect=ten.example.net", "all.example.net": "v=spf1 ~all redirect=ten.example.net",
		"_own.example.com": "v=spf1 ip4:192.0.2.0/24 a:h.example.net mx ?all", "_picky.example.com": "v=spf1 -ip4:192.0.2.1 a -all",
		"_open.example.com": "v=spf1 a +all", "_endless.example.com": "v=spf1 a",
	}
	hosts := map[string][]string{
		"example.com": {"203.0.113.1", "2001:db8::1"}, "mx of example.com": {"203.0.113.2"}, "mx1.example.com": {"203.0.113.3"},
		"farm.example.com": {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7"},
	}
	for _, c := range []struct {
		name, record, want string
		lookups            int
		note               string
	}{
		{"ten are allowed", "v=spf1 " + many(10) + " -all", "", 10, ""},
		{"ten with an include", "v=spf1 include:ten.example.net -all", "", 10, ""},
		{"ten by a redirect", "v=spf1 redirect=ten.example.net", "", 10, ""},
		{"a redirect beside all counts for nothing", "v=spf1 a redirect=ten.example.net ~all", "", 1, ""},
		{"in an include, too", "v=spf1 include:all.example.net " + many(9) + " -all", "", 10, ""},
		{"own a and mx as addresses", "v=spf1 a mx include:ten.example.net -all", "v=spf1 ip4:203.0.113.1 ip6:2001:db8::1 ip4:203.0.113.2 include:ten.example.net -all", 10, "with a, mx written as addresses it takes 10"},
		{"no more than it takes", "v=spf1 a mx " + many(9) + " -all", "v=spf1 ip4:203.0.113.1 ip6:2001:db8::1 mx " + many(9) + " -all", 10, "takes 11 DNS queries"},
		{"qualifiers stay", "v=spf1 ~a:MX1.example.com include:ten.example.net ?all", "v=spf1 ~ip4:203.0.113.3 include:ten.example.net ?all", 10, "~a:MX1.example.com"},
		{"prefix lengths and macros are left", "v=spf1 a/24 a:%{d} include:ten.example.net -all", "", 12, "include:ten.example.net 10, a/24 1, a:%{d} 1"},
		{"too many addresses", "v=spf1 a:farm.example.com include:ten.example.net -all", "", 11, "counts as an error"},
		{"a host that isn't known", "v=spf1 a:gone.example.com include:ten.example.net -all", "", 11, "counts as an error"},
		{"an include of our own", "v=spf1 include:_own.example.com " + many(8) + " -all", "v=spf1 ip4:192.0.2.0/24 a:h.example.net mx:_own.example.com " + many(8) + " -all", 10, "include:_own.example.com written as addresses"},
		{"one that excludes is left", "v=spf1 include:_picky.example.com " + many(9) + " -all", "", 11, "include:_picky.example.com 2"},
		{"one that lets everybody pass is left", "v=spf1 include:_open.example.com " + many(9) + " -all", "", 11, "include:_open.example.com 2"},
		{"one without all", "v=spf1 include:_endless.example.com " + many(9) + " -all", "v=spf1 a:_endless.example.com " + many(9) + " -all", 10, "include:_endless.example.com"},
		{"one that softfails is left", "v=spf1 ~include:_own.example.com " + many(8) + " -all", "", 11, "counts as an error"},
		{"an endless one", "v=spf1 include:loop.example.net -all", "", maxCounted + 2, "counts as an error"},
		{"not all is known", "v=spf1 include:silent.example.net " + many(9) + " -all", "", 10, ""},
		{"not all is known, and too many already", "v=spf1 include:silent.example.net " + many(10) + " -all", "", 11, "counts as an error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Record{Name: "example.com", Value: c.record}
			fitAdviser(records, hosts).fit(&r)
			if c.want == "" {
				c.want = c.record
			}
			if r.Value != c.want || r.Lookups != c.lookups {
				t.Errorf("got  %s (%d)\nwant %s (%d)", r.Value, r.Lookups, c.want, c.lookups)
			}
			if notes := strings.Join(r.Notes, " "); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// What is written as addresses takes no more queries than before, and loses no term
// of others.
func FuzzFit(f *testing.F) {
	f.Add("v=spf1 a mx include:_own.example.com " + many(10) + " -all")
	f.Add("v=spf1 include:loop.example.com redirect=_own.example.com")
	f.Add("v=spf1 a: mx:. include: include:% ?A:example.COM/ " + many(11))
	records := map[string]string{"_own.example.com": "v=spf1 a mx ip4:192.0.2.1 ~all", "loop.example.com": "v=spf1 include:loop.example.com a -all"}
	hosts := map[string][]string{"example.com": {"203.0.113.1"}, "mx of example.com": {"203.0.113.2"}}
	f.Fuzz(func(t *testing.T, record string) {
		if !isSPF(record) {
			return
		}
		r := Record{Name: "example.com", Value: record}
		a := fitAdviser(records, hosts)
		before := a.queries(parseSPF(record), []string{"example.com"})
		a.fit(&r)
		if r.Lookups > before || !isSPF(r.Value) {
			t.Errorf("%q (%d) becomes %q (%d)", record, before, r.Value, r.Lookups)
		}
		after := parseSPF(r.Value)
		for _, term := range parseSPF(record) {
			if name, value := spfTerm(term); (name == "include" || name == "a") && strings.HasSuffix(value, ".example.net") && !slices.Contains(after, term) {
				t.Errorf("%q loses %q: %q", record, term, r.Value)
			}
		}
	})
}
