package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnsview"
)

// sendersZone is a small world of SPF records, for example.com to include.
const sendersZone = `
a.example.net TXT "v=spf1 ip4:198.51.100.0/24 -all"
b.example.net TXT "v=spf1 mx a:x.example.net include:a.example.net ?all"
b.example.net MX 10 x.example.net
b.example.net MX 20 gone.example.net
c.example.net TXT "v=spf1 redirect=b.example.net"
x.example.net A 192.0.2.7
x.example.net AAAA 2001:db8::7
six.example.net AAAA 2001:db8::9
self.example.net TXT "v=spf1 include:self.example.net -all"
two.example.net TXT "v=spf1 -all"
two.example.net TXT "v=spf1 ~all"
bad.example.net TXT "v=spf1 ip4:203.0.113.9 ipv4:1.2.3.4 -all"
macro.example.net TXT "v=spf1 exists:%{ir}.%{v}.%{d2} a:%{o}.allow.%{d} -all"
9.113.0.203.in-addr.example.net A 127.0.0.2
fault slow.example.net TXT
fault slow.example.net A
`

func sendersDNS(record string) *fakeDNS {
	return newFakeDNS(goodZone, sendersZone, "example.com TXT "+fmt.Sprintf("%q", record))
}

// agrees compares the tree's way with the evaluation that the verdict rests on.
func agrees(t *testing.T, dns *fakeDNS, id Identity, tree SPFTree) {
	t.Helper()
	q := &inquiry{dns: dns, id: id}
	for _, path := range tree.Addresses {
		e := q.evaluate(t.Context(), string(id.spfDomain()), path.Address)
		if e.result != path.Result || e.resolver.lookups != path.Lookups || e.resolver.voids != path.VoidLookups {
			t.Errorf("%s: the tree has %s after %d lookups, %d void; evaluation has %s after %d, %d (%v)\n%s",
				path.Address, path.Result, path.Lookups, path.VoidLookups, e.result, e.resolver.lookups, e.resolver.voids, e.reason, outline(tree))
		}
	}
}

// outline writes a tree as a failing test shows it.
func outline(t SPFTree) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d lookups, %d void, at least %v\n", t.Lookups, t.VoidLookups, t.AtLeast)
	var node func(indent string, n *SPFNode)
	node = func(indent string, n *SPFNode) {
		fmt.Fprintf(&b, "%s%s (%s) %s %s\n", indent, n.Domain, n.Status, n.Record, n.Error)
		for _, term := range n.Terms {
			fmt.Fprintf(&b, "%s  %s %d/%d %v %v %s\n", indent, term.Text, term.Lookups, term.VoidLookups, term.Found, term.Matches, term.Error)
			if term.Include != nil {
				node(indent+"    ", term.Include)
			}
		}
	}
	node("", t.Root)
	return b.String()
}

func TestSPFTreeAgreesWithEvaluation(t *testing.T) {
	records := []string{
		"v=spf1 -all", "v=spf1", "v=spf1 ip4:203.0.113.0/28 -all", "v=spf1 include:a.example.net ~all", "v=spf1 include:b.example.net ~all",
		"v=spf1 a:x.example.net/4 -all", "v=spf1 a:x.example.net//32 -all", "v=spf1 mx:b.example.net/4//16 -all", "v=spf1 include:c.example.net ip6:2001:db8::/32 ?all",
		"v=spf1 redirect=c.example.net", "v=spf1 redirect=gone.example.net", "v=spf1 a:six.example.net a:gone.example.net -all",
		"v=spf1 include:gone.example.net -all", "v=spf1 include:two.example.net -all", "v=spf1 include:bad.example.net -all", "v=spf1 ?include:bad.example.net -all",
		"v=spf1 include:slow.example.net -all", "v=spf1 a:slow.example.net -all", "v=spf1 ip4:203.0.113.9 a:slow.example.net -all",
		"v=spf1 include:macro.example.net -all", "v=spf1 exists:%{l}.%{h} -all", "v=spf1 a:%{x}.example.net -all", "v=spf1 ptr:example.com -all", "v=spf1 ptr:elsewhere.example -all",
		"v=spf1 a:g1.example.net a:g2.example.net a:g3.example.net ip4:203.0.113.9 -all", "v=spf1 exists:x.example.net -all", "v=spf1 -ip4:203.0.113.9 +all",
		"v=spf1 " + strings.Repeat("include:b.example.net ", 4) + "-all", "v=spf1 " + strings.Repeat("a:x.example.net ", 45) + "ip4:203.0.113.9 -all",
		"v=spf1 include:a.example.net redirect=b.example.net exp=x.%{d}",
	}
	for _, record := range records {
		t.Run(record, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns, id := sendersDNS(record), goodIdentity()
				egress("203.0.113.9", v6, "198.51.100.1", "192.0.2.200")(&id)
				tree := New(dns, Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
				agrees(t, dns, id, tree)
				for i, fact := range New(dns, Options{}).Check(t.Context(), id).Facts.SPF.Addresses {
					if tree.Addresses[i].Result != fact.Result {
						t.Errorf("%s: the tree has %s, the report %s", fact.Address, tree.Addresses[i].Result, fact.Result)
					}
				}
			})
		})
	}
}

// TestSPFTreeTotals compares the total with what evaluation counts for an address
// that nothing matches, in every zone of the diagnoses too.
func TestSPFTreeTotals(t *testing.T) {
	const stranger = "192.0.2.200"
	for _, d := range spfDiagnoses() {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns, id := newFakeDNS(goodZone, d.zone), goodIdentity()
				if d.id != nil {
					d.id(&id)
				}
				egress(stranger)(&id)
				tree := New(dns, Options{}).SPFTree(t.Context(), id.MailFrom, id.Helo, id.Egress)
				e := (&inquiry{dns: dns, id: id}).evaluate(t.Context(), string(id.spfDomain()), id.Egress[0])
				through := e.result == SPFFail || e.result == SPFSoftFail || e.result == SPFNeutral
				if through && tree.Root.Error == "" && (tree.Lookups != e.resolver.lookups || tree.VoidLookups != e.resolver.voids) {
					t.Errorf("the tree has %d lookups, %d void; evaluation %d, %d\n%s", tree.Lookups, tree.VoidLookups, e.resolver.lookups, e.resolver.voids, outline(tree))
				}
			})
		})
	}
}

func TestSPFTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns, id := sendersDNS("v=spf1 include:b.example.net ip4:203.0.113.9 a:gone.example.net ~all include:never.example.net"), goodIdentity()
		egress("203.0.113.9", "198.51.100.1", v6)(&id)
		tree := New(dns, Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if tree.Lookups != 5 || tree.VoidLookups != 1 || tree.AtLeast {
			t.Errorf("%d lookups, %d void, at least %v; want 5, 1", tree.Lookups, tree.VoidLookups, tree.AtLeast)
		}
		if len(tree.NotCovered) != 1 || tree.NotCovered[0].String() != v6 {
			t.Errorf("not covered: %v", tree.NotCovered)
		}
		path := tree.Addresses[1]
		if path.Result != SPFPass || !slices.Equal(path.Via, []string{"example.com", "b.example.net", "a.example.net"}) || path.Term != "ip4:198.51.100.0/24" || path.Lookups != 4 {
			t.Errorf("the way of %s: %+v", path.Address, path)
		}
		terms := tree.Root.Terms
		include := terms[0].Include
		if terms[0].Lookups != 4 || include.Domain != "b.example.net" || include.Terms[0].Lookups != 1 || !slices.Equal(include.Terms[0].Found, []string{"192.0.2.7", "2001:db8::7"}) {
			t.Errorf("the include\n%s", outline(tree))
		}
		if terms[2].VoidLookups != 1 || !terms[4].Unreached || terms[4].Include != nil || len(terms[3].Matches) != 1 {
			t.Errorf("the other terms\n%s", outline(tree))
		}
	})
}

func TestSPFTreeOddities(t *testing.T) {
	cases := []struct {
		name, record string
		status       SPFNodeStatus // of the first include
		atLeast      bool
		result       SPFResult
	}{
		{"loop", "v=spf1 include:self.example.net -all", SPFNodeFound, true, SPFPermError},
		{"loop over the domain itself", "v=spf1 include:example.com -all", SPFNodeLoop, true, SPFPermError},
		{"silence", "v=spf1 include:slow.example.net -all", SPFNodeUnknown, true, SPFTempError},
		{"several", "v=spf1 include:two.example.net -all", SPFNodeSeveral, false, SPFPermError},
		{"none", "v=spf1 include:gone.example.net -all", SPFNodeMissing, false, SPFPermError},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				id := goodIdentity()
				tree := New(sendersDNS(c.record), Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
				if got := tree.Root.Terms[0].Include.Status; got != c.status || tree.AtLeast != c.atLeast || tree.Addresses[0].Result != c.result {
					t.Errorf("%s, at least %v, %s\n%s", got, tree.AtLeast, tree.Addresses[0].Result, outline(tree))
				}
				if wanted := c.result == SPFPermError; (len(tree.NotCovered) == 1) != wanted {
					t.Errorf("not covered: %v", tree.NotCovered)
				}
			})
		})
	}
}

// TestSPFTreeWithoutAddress shows the record although nobody said where mail
// leaves from.
func TestSPFTreeWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := New(sendersDNS("v=spf1 include:b.example.net exists:%{i}.example.net -all"), Options{}).SPFTree(t.Context(), "example.com", "", nil)
		if tree.Lookups != 4 || !tree.AtLeast || !tree.Root.Terms[1].Unknown {
			t.Errorf("%s", outline(tree))
		}
	})
}

// TestSPFTreeIsBounded has a record that would lead through thousands of others.
func TestSPFTreeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := strings.Builder{}
		for i := range 300 {
			fmt.Fprintf(&zone, "n%d.example.net TXT \"v=spf1 include:n%d.example.net include:n%d.example.net -all\"\n", i, 2*i+1, 2*i+2)
		}
		dns := newFakeDNS(goodZone, zone.String(), `example.com TXT "v=spf1 include:n0.example.net `+strings.Repeat("ip4:198.51.100.1 ", 3000)+`-all"`)
		id := goodIdentity()
		tree := New(dns, Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if tree.Lookups != maxCounted || !tree.AtLeast || dns.queries.Load() > maxCounted+1 || len(tree.Root.Terms) != maxTreeTerms {
			t.Errorf("%d lookups by %d queries, %d terms", tree.Lookups, dns.queries.Load(), len(tree.Root.Terms))
		}
	})
}

// TestSPFTreeAsksNoMore counts at real servers: where evaluation has met every
// term, the tree is made of what is remembered.
func TestSPFTreeAsksNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.ns1.Remove("example.com", "TXT")
		n.ns2.Remove("example.com", "TXT")
		for _, line := range []string{`example.com. TXT "v=spf1 include:_spf.example.com mx ~all"`, `_spf.example.com. TXT "v=spf1 a:mx1.example.com ip4:198.51.100.1 -all"`, "example.com. MX 10 mx1.example.com."} {
			if err := n.ns1.Add(line); err != nil {
				t.Fatal(err)
			}
			if err := n.ns2.Add(line); err != nil {
				t.Fatal(err)
			}
		}
		id := goodIdentity()
		egress("192.0.2.200")(&id)
		c := New(n.resolver, Options{})
		c.Check(t.Context(), id)
		before := n.resolver.Queries()
		tree := c.SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if asked := n.resolver.Queries() - before; asked != 0 || tree.Lookups != 3 {
			t.Errorf("%d lookups; %d queries more\n%s", tree.Lookups, asked, outline(tree))
		}
	})
}

// TestSPFTreeAsksOnce has a record that names the same hosts again and again.
func TestSPFTreeAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns, id := sendersDNS("v=spf1 a:x.example.net a:x.example.net mx:b.example.net a:x.example.net -all"), goodIdentity()
		egress("203.0.113.9", "198.51.100.1", "192.0.2.200")(&id)
		New(dns, Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if asked := dns.queries.Load(); asked > 9 { // TXT, A of two hosts, and MX, which is dnsview's to remember, for each walk
			t.Errorf("%d queries", asked)
		}
	})
}

// TestSPFTreeEnds is silent DNS: the tree says so in time.
func TestSPFTreeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := sendersDNS("v=spf1 include:b.example.net -all")
		dns.onAnswer(func(ctx context.Context, _, _ string) { <-ctx.Done() })
		id := goodIdentity()
		tree := New(dns, Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if tree.Root.Status != SPFNodeUnknown || tree.Addresses[0].Result != SPFUnknown || !tree.AtLeast || len(tree.NotCovered) != 0 {
			t.Errorf("%s", outline(tree))
		}
	})
}

func TestSPFTreeJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := goodIdentity()
		tree := New(sendersDNS("v=spf1 include:a.example.net ip4:203.0.113.9 ~all"), Options{}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		got, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"domain":"example.com","lookups":1,"void_lookups":0,"root":{"domain":"example.com","status":"found",` +
			`"record":"v=spf1 include:a.example.net ip4:203.0.113.9 ~all","terms":[{"text":"include:a.example.net","lookups":1,` +
			`"include":{"domain":"a.example.net","status":"found","record":"v=spf1 ip4:198.51.100.0/24 -all","terms":[{"text":"ip4:198.51.100.0/24"},{"text":"-all"}]}},` +
			`{"text":"ip4:203.0.113.9","matches":["203.0.113.9"]},{"text":"~all"}]},` +
			`"addresses":[{"address":"203.0.113.9","result":"pass","via":["example.com"],"term":"ip4:203.0.113.9","lookups":1,"void_lookups":0}],"not_covered":[]}`
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// FuzzSPFTree holds the tree against the evaluation, with three records that may
// include each other.
func FuzzSPFTree(f *testing.F) {
	f.Add("v=spf1 include:one.example include:two.example -all", "v=spf1 a:x.example.net mx:b.example.net ?all", "v=spf1 ip4:203.0.113.0/24 ~all")
	f.Add("v=spf1 redirect=one.example", "v=spf1 exists:%{ir}.%{v}.x -include:two.example +all", "v=spf1 ip6:2001:db8::/32 a//32 -all")
	f.Add("v=spf1 a:%{d} include:%{o}", "v=spf1 mx/24//64 ptr", "v=spf1 a:gone1 a:gone2 a:gone3")
	f.Fuzz(func(t *testing.T, own, one, two string) {
		dns := newFakeDNS(goodZone, sendersZone)
		for name, text := range map[string]string{"example.com": own, "one.example": one, "two.example": two} {
			dns.records["auth "+name+" TXT"] = []dnsview.Record{{Text: text, Strings: []string{text}}}
		}
		id := goodIdentity()
		id.Egress = []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr(v6)}
		tree := New(dns, Options{Timeout: time.Hour}).SPFTree(t.Context(), id.spfDomain(), id.Helo, id.Egress)
		if tree.Root.Status != SPFNodeFound || tree.Root.Error != "" || tree.AtLeast || !sameReading(tree.Root) {
			return
		}
		agrees(t, dns, id, tree)
	})
}

// sameReading reports whether library and tree read the same: terms with an error
// in an include are read more or less generously, and the library looks the names
// of an address up once for several ptr terms.
func sameReading(n *SPFNode) bool {
	for _, t := range n.Terms {
		if t.Error != "" || t.Name() == "ptr" || t.Include != nil && !sameReading(t.Include) {
			return false
		}
	}
	return true
}
