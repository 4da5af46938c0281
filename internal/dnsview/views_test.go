package dnsview

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
)

func TestPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(nil)
		for _, c := range []struct{ name, qtype, want string }{
			{"www.example.com", "A", "found 192.0.2.1"},
			{"WWW.Example.COM.", "a", "found 192.0.2.1"},
			{"www.example.com", "TXT", "nodata"},
			{"none.example.com", "TXT", "nxdomain"},
			{"_domainkey.example.com", "TXT", "nodata"},
			{"mail._domainkey.example.com", "TXT", "found v=DKIM1; p=\"x\\y\x01"},
			{"example.com", "MX", "found a.example.com b.example.com"},
			{"example.com", "NS", "found ns1.example.com ns2.example.com"},
			{"example.com", "SOA", "found ns1.example.com"},
			{"cname.example.com", "A", "found 192.0.2.1 via www.example.com"},
			{"cname.example.com", "CNAME", "found www.example.com"},
			{"away.example.com", "TXT", "found v=DKIM1; p=net via sel.example.net"},
			{"dangling.example.com", "TXT", "nxdomain via none.example.net"},
			{"loop.example.com", "TXT", "nodata via loop2.example.com loop.example.com"},
			{"tail.example.com", "TXT", "nodata via loop.example.com loop2.example.com loop.example.com"},
			{"_dmarc.com", "TXT", "nxdomain"},
			{"com", "TXT", "nodata"},
		} {
			a := r.Published(background, c.name, c.qtype)
			expect(t, a, c.want)
			if want := strings.TrimSuffix(strings.ToLower(c.name), "."); a.Name != want || a.Type != strings.ToUpper(c.qtype) {
				t.Errorf("named %s %s", a.Name, a.Type)
			}
		}
	})
}

func TestPublishedEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		a := n.resolver(timed(c)).Published(background, "mail._domainkey.example.com", "TXT")
		if a.Zone != "example.com" || !slices.Equal(a.NameServers, []string{"ns1.example.com", "ns2.example.com"}) {
			t.Errorf("zone %q, servers %q", a.Zone, a.NameServers)
		}
		if got := a.Records[0].Strings; !slices.Equal(got, []string{"v=DKIM1; ", "p=\"x\\y\x01"}) {
			t.Errorf("strings %q", got)
		}
		if len(a.Observations) != 2 {
			t.Fatalf("observations %+v", a.Observations)
		}
		o := a.Observations[1]
		o.RTT = 0
		if o.Server != "ns2.example.com" || o.Address != n.ns2.Addr() || o.View != Authoritative || !o.AA || o.AD ||
			o.Rcode != "NOERROR" || o.TTL != 300 || !o.When.Equal(c.now()) || o.Error != "" ||
			!slices.Equal(o.Records, []string{"v=DKIM1; p=\"x\\y\x01"}) {
			t.Errorf("observation %+v", o)
		}
		for _, q := range slices.Concat(n.ns1.Queries(), n.ns2.Queries()) {
			if q.Recursive {
				t.Errorf("a name server was asked for recursion: %+v", q)
			}
		}
	})
}

// The hosting panel's zone has the key, the zone the world asks has not.
func TestKeyOnlyInPanel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.panel, "example.com", `new._domainkey TXT "v=DKIM1; p=panel"`)
		r := n.resolver(nil)
		const name = "new._domainkey.example.com"
		expect(t, r.Published(background, name, "TXT"), "nxdomain")
		expect(t, r.Recursive(background, name, "TXT"), "nxdomain")
		a, ok := r.Panel(background, name, "TXT")
		if !ok || a.Observations[0].View != Panel || a.Observations[0].Server != n.panel.Addr() {
			t.Errorf("panel %v %+v", ok, a)
		}
		expect(t, a, "found v=DKIM1; p=panel")
	})
}

func TestPanel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.panel, "example.com", "away CNAME sel.example.net.\ngone CNAME none.example.net.")
		r := n.resolver(nil)
		for _, c := range []struct{ name, want string }{
			{"away.example.com", "found v=DKIM1; p=net via sel.example.net"},
			{"gone.example.com", "nxdomain via none.example.net"},
			{"none.example.com", "nxdomain"},
			{"www.example.org", "unknown"}, // REFUSED: not its zone
		} {
			a, _ := r.Panel(background, c.name, "TXT")
			expect(t, a, c.want)
		}
		if _, ok := n.resolver(func(o *Options) { o.Panel = "" }).Panel(background, "example.com", "TXT"); ok {
			t.Error("a panel without configuration")
		}
	})
}

func TestPanelByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.add(n.ns1, "panel.example.com A 127.0.0.5")
		n.zone(n.panel, "example.com", `p TXT panel`)
		_, port, _ := splitServer(n.panel.Addr())
		r := n.resolver(func(o *Options) { o.Panel = "panel.example.com:" + port })
		a, _ := r.Panel(background, "p.example.com", "TXT")
		expect(t, a, "found panel")
	})
}

// What a panel's server passes on from its cache is not what it publishes.
func TestPanelWithoutTheZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.panel, "example.com", "www A 192.0.2.1")
		n.panel.Fault("", dnstest.NoAA)
		a, _ := n.resolver(nil).Panel(background, "www.example.com", "A")
		expect(t, a, "unknown")
	})
}

func TestDisagreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.add(n.ns1, "half.example.com TXT one", "both.example.com TXT one", "alias.example.com CNAME sel.example.net.")
		n.add(n.ns1, "mixed.example.com TXT one")
		n.add(n.ns2, "mixed.example.com CNAME sel.example.net.")
		n.add(n.ns2, "both.example.com TXT two", "ttl.example.com 60 TXT x")
		n.add(n.ns1, "ttl.example.com 90 TXT x")
		c := newClock()
		r := n.resolver(timed(c))
		for _, q := range []struct{ name, want string }{
			{"half.example.com", "found one disagree"},
			{"both.example.com", "found one two disagree"},
			{"alias.example.com", "found v=DKIM1; p=net disagree via sel.example.net"},
			{"mixed.example.com", "found one disagree"},
			{"ttl.example.com", "found x"},
		} {
			a := r.Published(background, q.name, "TXT")
			expect(t, a, q.want)
			if q.name != "ttl.example.com" && a.Expires.Sub(c.now()) > 30*time.Second {
				t.Errorf("%s: a disagreement is kept for %s", q.name, a.Expires.Sub(c.now()))
			}
		}
	})
}

// A server that fails decides nothing while another answers.
func TestOneBadServer(t *testing.T) {
	for fault, want := range map[dnstest.Fault]string{
		dnstest.Timeout:  "timeout",
		dnstest.ServFail: "does not answer for the zone",
		dnstest.Refused:  "does not answer for the zone",
		dnstest.Lame:     "not authoritative for the name",
		dnstest.Garbage:  "timeout (malformed replies were ignored)",
		dnstest.Bogus:    "DNSSEC Bogus",
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t)
				n.ns1.Fault("www.example.com", fault)
				a := n.resolver(nil).Published(background, "www.example.com", "A")
				expect(t, a, "found 192.0.2.1")
				if got := faults(a, Authoritative); !slices.Equal(got, []string{want}) {
					t.Errorf("observed %q, want %q", got, want)
				}
				if got := n.ns1.Count(); got != 1 {
					t.Errorf("asked %d times", got)
				}
			})
		})
	}
}

// _domainkey is often delegated elsewhere than the zone above it.
func TestDelegatedDomainkey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			n.add(s, "_domainkey.example.com NS ns1.example.net.")
			s.Remove("mail._domainkey.example.com", "")
		}
		n.add(n.net, "ns1.example.net A 127.0.0.4")
		n.zone(n.net, "_domainkey.example.com", "@ NS ns1.example.net.\nmail TXT delegated")
		a := n.resolver(nil).Published(background, "mail._domainkey.example.com", "TXT")
		expect(t, a, "found delegated")
		if a.Zone != "_domainkey.example.com" || !slices.Equal(a.NameServers, []string{"ns1.example.net"}) {
			t.Errorf("zone %s, servers %s", a.Zone, a.NameServers)
		}
	})
}

// A delegation newer than what the resolver has cached shows as a referral.
func TestReferralFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(nil)
		expect(t, r.Published(background, "mail._domainkey.example.com", "A"), "nodata")
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			n.add(s, "_domainkey.example.com NS ns.keys.example.com.", "ns.keys.example.com A 127.0.0.4")
		}
		n.zone(n.net, "_domainkey.example.com", "mail TXT delegated")
		n.front.Fault("ns.keys.example.com", dnstest.NXDomain) // so only the referral has its address
		a := r.Published(background, "mail._domainkey.example.com", "TXT")
		expect(t, a, "found delegated")
		if a.Zone != "_domainkey.example.com" || !slices.Equal(a.NameServers, []string{"ns.keys.example.com"}) {
			t.Errorf("zone %s, servers %s", a.Zone, a.NameServers)
		}
	})
}

// A domain moves to other name servers, and the old ones drop it.
func TestMovedZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		expect(t, r.Published(background, "www.example.com", "A"), "found 192.0.2.1")
		n.ns1.RemoveZone("example.com")
		n.ns2.RemoveZone("example.com")
		n.zone(n.net, "example.com", "@ NS ns.example.net.\nwww A 192.0.2.3")
		n.add(n.net, "ns.example.net A 127.0.0.4")
		expect(t, r.Published(Fresh(background, 0), "www.example.com", "A"), "found 192.0.2.3 fallback")
		a := r.Published(Fresh(background, 0), "www.example.com", "A")
		expect(t, a, "found 192.0.2.3")
		if !slices.Equal(a.NameServers, []string{"ns.example.net"}) {
			t.Errorf("servers %s", a.NameServers)
		}
	})
}

// A name server may hold a stale copy of the alias's target zone.
func TestAliasTargetAskedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.ns1, "example.net", `sel TXT stale`)
		n.zone(n.ns2, "example.net", `sel TXT stale`)
		n.front.Recursive(n.net, n.ns1)
		expect(t, n.resolver(nil).Published(background, "away.example.com", "TXT"), "found v=DKIM1; p=net via sel.example.net")
	})
}

func TestLongChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			n.add(s, "c9.example.com A 192.0.2.9")
			for i := range 9 {
				n.add(s, "c"+string(rune('0'+i))+".example.com CNAME c"+string(rune('1'+i))+".example.com.")
			}
		}
		r := n.resolver(nil)
		if a := r.Published(background, "c1.example.com", "A"); a.Status != Found || len(a.CNAMEs) != 8 {
			t.Errorf("8 CNAMEs: %+v", a)
		}
		for _, a := range []Answer{r.Published(background, "c0.example.com", "A"), r.Recursive(background, "c0.example.com", "A")} {
			if a.Status != Unknown || a.Observations[len(a.Observations)-1].Error != "more than 8 CNAMEs" {
				t.Errorf("9 CNAMEs: %+v", a)
			}
		}
	})
}

func TestRecursive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.front.Authentic("example.net", true)
		r := n.resolver(nil)
		for _, c := range []struct{ name, qtype, want string }{
			{"www.example.com", "A", "found 192.0.2.1"},
			{"away.example.com", "TXT", "found v=DKIM1; p=net via sel.example.net"},
			{"dangling.example.com", "TXT", "nxdomain via none.example.net"},
			{"none.example.com", "TXT", "nxdomain"},
			{"www.example.com", "TXT", "nodata"},
		} {
			a := r.Recursive(background, c.name, c.qtype)
			expect(t, a, c.want)
			if a.Authentic {
				t.Errorf("%s: authentic", c.name)
			}
		}
		if a := r.Recursive(background, "sel.example.net", "TXT"); !a.Authentic || !a.Observations[0].AD {
			t.Errorf("AD is lost: %+v", a)
		}
		if n.ns1.Count()+n.net.Count() != 0 {
			t.Error("name servers were asked")
		}
	})
}

func TestZoneOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(nil)
		for _, name := range []string{"example.com", "www.example.com", "none.of.it.example.com", "away.example.com", "x.away.example.com"} {
			z := r.ZoneOf(background, name)
			if z.Status != Found || z.Apex != "example.com" || len(z.NameServers) != 2 || z.NameServers[0] != "ns1.example.com" {
				t.Errorf("%s: %+v", name, z)
			}
		}
		n.front.Fault("broken.example.com", dnstest.ServFail)
		for _, name := range []string{"broken.example.com", "a..b", ""} {
			if z := r.ZoneOf(background, name); z.Status != Unknown || len(z.Observations) == 0 {
				t.Errorf("%s: %+v", name, z)
			}
		}
	})
}

func TestImpossibleNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(nil)
		for _, name := range []string{"", "a..b", ".example.com", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 126) + "com"} {
			a := r.Published(background, name, "TXT")
			if a.Status != NXDomain || len(a.Observations) != 1 || a.Observations[0].Error == "" {
				t.Errorf("%q: %+v", name, a)
			}
		}
		if a := r.Published(background, "example.com", "HINFO"); a.Status != Unknown {
			t.Errorf("HINFO: %+v", a)
		}
		if r.Queries() != 0 {
			t.Errorf("%d queries", r.Queries())
		}
		for _, name := range []string{`o'br"i@e(n);.example.com`, `back\slash.example.com`, "\xff\x00 .example.com", strings.Repeat("a", 63) + ".example.com"} {
			expect(t, r.Published(background, name, "TXT"), "nxdomain")
		}
	})
}

// A name server with IPv6 alone, and one whose IPv4 address refuses.
func TestIPv6NameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, s := dnstest.InMemory("127.0.0.1", "::1")
		for _, server := range s {
			t.Cleanup(func() { server.Close() })
		}
		n := internet{T: t, memory: memory, front: s[0], panel: s[0], net: s[1]}
		n.zone(n.net, "six.test", "@ TXT x")
		n.zone(n.net, "both.test", "@ NS ns\nns A 127.0.0.77\nns AAAA ::1\n@ TXT x")
		if err := n.front.Recursive(n.net); err != nil {
			t.Fatal(err)
		}
		r := n.resolver(nil)
		r.routeIPv6 = func() bool { return true }
		for _, name := range []string{"six.test", "both.test"} {
			a := r.Published(background, name, "TXT")
			expect(t, a, "found x")
			if got := a.Observations[0].Address; got != n.net.Addr() {
				t.Errorf("%s: asked at %s", name, got)
			}
		}
		r = n.resolver(nil)
		expect(t, r.Published(background, "six.test", "TXT"), "found x")
		expect(t, r.Published(background, "both.test", "TXT"), "found x fallback")
	})
}
