package tlspolicy

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestDANE(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true,
		"@ MX 10 mx1", "@ MX 20 mx2", "mx1 A 127.0.0.1", "mx2 AAAA ::1",
		"_25._tcp.mx1 TLSA 3 1 1 "+digest,
		"some MX 10 mx1", "some MX 20 bare", "bare A 127.0.0.1",
		"odd MX 10 oddmx", "oddmx A 127.0.0.1", "_25._tcp.oddmx TLSA 1 1 1 "+digest, "_25._tcp.oddmx TLSA 3 1 1 0123",
		"bogus MX 10 bogusmx", "bogusmx A 127.0.0.1", "_25._tcp.bogusmx TLSA 3 1 1 "+digest,
		"mixed MX 10 mx1", "mixed MX 20 bogusmx",
		"away MX 10 mx.insecure.example", "alias MX 10 aliasmx", "aliasmx CNAME mx1",
		"outward MX 10 outmx", "outmx CNAME mx.insecure.example", "_25._tcp.outmx TLSA 3 1 1 "+digest,
		"none A 127.0.0.1", "_25._tcp.none TLSA 3 1 1 "+digest,
		"null MX 0 .",
		"hop A 127.0.0.1", "_587._tcp.hop TLSA 2 0 1 "+digest,
	)
	w.must(w.dns.Add("_25._tcp.mx2.example.net. TLSA 2 0 1 " + digest))
	w.must(w.dns.Add("broken.example.net. MX 10 brokenmx.insecure.example.", "odder.example.net. MX 10 alias.insecure.example."))
	w.zone("insecure.example", false, "brokenmx A 127.0.0.1", "alias CNAME mx1.example.net.", "@ MX 10 mx", "mx A 127.0.0.1", "_25._tcp.mx TLSA 3 1 1 "+digest,
		"toward MX 10 mx1.example.net.")
	w.dns.Fault("_25._tcp.bogusmx.example.net", dnstest.Bogus)
	w.dns.Fault("_25._tcp.brokenmx.insecure.example", dnstest.ServFail)
	w.dns.Fault("_25._tcp.alias.insecure.example", dnstest.ServFail)

	for _, c := range []struct {
		name   string
		to     Destination
		level  Level
		source Source
		names  string // of the certificate
		sni    string
		fault  string // part of the error
	}{
		{name: "all hosts have records", to: Destination{Domain: "example.net"}, level: DANEOnly, source: FromDANE},
		{name: "one host", to: Destination{Domain: "example.net", Host: "mx1.example.net"}, level: DANEOnly, source: FromDANE,
			names: "mx1.example.net example.net"},
		{name: "other host", to: Destination{Domain: "example.net", Host: "mx2.example.net"}, level: DANEOnly, source: FromDANE,
			names: "mx2.example.net example.net"},
		{name: "some hosts", to: Destination{Domain: "some.example.net"}, level: DANE, source: FromDANE},
		{name: "the host without", to: Destination{Domain: "some.example.net", Host: "bare.example.net"}, level: May, source: FromDefault},
		{name: "unusable", to: Destination{Domain: "odd.example.net", Host: "oddmx.example.net"}, level: Encrypt, source: FromDANE},
		{name: "unusable, all hosts", to: Destination{Domain: "odd.example.net"}, level: Encrypt, source: FromDANE},
		{name: "bogus", to: Destination{Domain: "bogus.example.net", Host: "bogusmx.example.net"}, fault: "DNSSEC Bogus"},
		{name: "bogus, all hosts", to: Destination{Domain: "bogus.example.net"}, fault: "bogusmx.example.net"},
		{name: "one of two bogus", to: Destination{Domain: "mixed.example.net"}, level: DANE, source: FromDANE},
		{name: "domain not signed", to: Destination{Domain: "toward.insecure.example", Host: "mx1.example.net"}, level: May, source: FromDefault},
		{name: "host not signed", to: Destination{Domain: "away.example.net", Host: "mx.insecure.example"}, level: May, source: FromDefault},
		{name: "host not signed, its server knows no TLSA", to: Destination{Domain: "broken.example.net", Host: "brokenmx.insecure.example"}, level: May, source: FromDefault},
		{name: "alias not signed", to: Destination{Domain: "odder.example.net", Host: "alias.insecure.example"}, level: May, source: FromDefault},
		{name: "alias", to: Destination{Domain: "alias.example.net", Host: "aliasmx.example.net"}, level: DANEOnly, source: FromDANE,
			names: "mx1.example.net aliasmx.example.net alias.example.net", sni: "mx1.example.net"},
		{name: "alias to what isn't signed", to: Destination{Domain: "outward.example.net", Host: "outmx.example.net"}, level: DANEOnly, source: FromDANE,
			names: "outmx.example.net outward.example.net"},
		{name: "no MX", to: Destination{Domain: "none.example.net", Host: "none.example.net"}, level: DANEOnly, source: FromDANE,
			names: "none.example.net"},
		{name: "null MX", to: Destination{Domain: "null.example.net"}, level: May, source: FromDefault},
		{name: "no such domain", to: Destination{Domain: "nowhere.example.net"}, level: May, source: FromDefault},
		{name: "next hop", to: Destination{Domain: "x.example", NextHop: "[hop.example.net]:587"}, level: DANEOnly, source: FromDANE,
			names: "hop.example.net"},
		{name: "next hop, by service", to: Destination{NextHop: "[hop.example.net]:submission"}, level: DANEOnly, source: FromDANE,
			names: "hop.example.net"},
		{name: "next hop, other port", to: Destination{Domain: "example.net", NextHop: "[hop.example.net]"}, level: May, source: FromDefault},
		{name: "next hop by MX", to: Destination{NextHop: "example.net:2525"}, level: May, source: FromDefault},
		{name: "next hop is an address", to: Destination{NextHop: "[127.0.0.1]:587"}, level: May, source: FromDefault},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := w.policies.Lookup(t.Context(), c.to)
			if c.fault != "" {
				if !errors.Is(err, ErrUnsettled) || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("%v, %v; want %q", p, err, c.fault)
				}
				return
			}
			if err != nil || p.Level != c.level || p.Source != c.source {
				t.Fatalf("%v, %v; want %s from %s", p, err, c.level, c.source)
			}
			if got := strings.Join(p.MatchNames, " "); got != c.names || p.ServerName != c.sni {
				t.Errorf("names %q, SNI %q; want %q, %q", got, p.ServerName, c.names, c.sni)
			}
			if c.names != "" && len(p.TLSA) == 0 {
				t.Error("no TLSA records")
			}
		})
	}

	w.view.Store(&View{DNS: w.view.Load().DNS, STS: true})
	if p := w.domain("example.net"); p.Level != May {
		t.Errorf("resolvers that don't validate: %v", p)
	}
}

// TestDANESilent: mail waits where nobody says whether there are TLSA records.
func TestDANESilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newQuietWorld(t)
		w.zone("example.net", true, "@ MX 10 mx1", "mx1 A 127.0.0.1")
		w.dns.Fault("_25._tcp.mx1.example.net", dnstest.Timeout)
		p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net", Host: "mx1.example.net"})
		if !errors.Is(err, ErrUnsettled) || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("%v, %v", p, err)
		}
	})
}

// TestDANEInDoubt: TLSA records that were there count while DNS doesn't tell, and
// what is known holds until its end.
func TestDANEInDoubt(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true, "@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1", "_25._tcp.mx1 60 TLSA 3 1 1 "+digest)
	to := Destination{Domain: "example.net", Host: "mx1.example.net"}
	if p := w.lookup(to); p.Level != DANEOnly {
		t.Fatal(p)
	}
	w.dns.Fault("", dnstest.ServFail)
	w.clock.add(50 * time.Second) // in the last fifth: a look in the background learns nothing
	if p := w.lookup(to); p.Level != DANEOnly {
		t.Fatal(p)
	}
	place, _ := to.danePlace()
	<-w.policies.dane.begin(place, w.view.Load().DNS)
	if p := w.lookup(to); p.Level != DANEOnly {
		t.Fatal(p)
	}
	w.clock.add(11 * time.Second)
	for range 2 {
		if p, err := w.policies.Lookup(t.Context(), to); !errors.Is(err, ErrUnsettled) {
			t.Fatalf("%v, %v; want ErrUnsettled", p, err)
		}
		w.clock.add(time.Hour)
	}
	if p := w.lookup(Destination{Domain: "unheard.example", Host: "mx.unheard.example"}); p.Level != May {
		t.Errorf("a host nothing is known of: %v", p)
	}
	w.clock.add(24 * time.Hour)
	if p := w.lookup(to); p.Level != May {
		t.Errorf("a day later: %v", p)
	}
	w.dns.Fault("", dnstest.None)
	w.zone("example.net", true, "@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1")
	w.clock.add(time.Minute)
	for _, qtype := range []string{"MX", "A", "TLSA", "CNAME"} { // refreshes that met the fault may be under way
		for _, name := range []string{"example.net", "mx1.example.net", "_25._tcp.mx1.example.net"} {
			w.view.Load().DNS.Recursive(dnsview.Fresh(t.Context(), 0), name, qtype)
		}
	}
	if p := w.lookup(to); p.Level != May || p.Source != FromDefault {
		t.Errorf("the records are gone: %v", p)
	}
}

func TestTLSAHandshake(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	leaf := ca.leaf(t, "mx1.example.net")
	byDomain := ca.leaf(t, "example.net")
	strange := ca.leaf(t, "strange.example")
	for _, c := range []struct {
		name string
		cert tls.Certificate
		tlsa []string
		ok   bool
	}{
		{"3 1 1", leaf, []string{"3 1 1 " + spki(leaf.Leaf)}, true},
		{"3 1 1 of another name", strange, []string{"3 1 1 " + spki(strange.Leaf)}, true},
		{"3 0 1", leaf, []string{"3 0 1 " + whole(leaf.Leaf)}, true},
		{"3 1 1 of another key", leaf, []string{"3 1 1 " + spki(strange.Leaf)}, false},
		{"3 1 1, the second fits", leaf, []string{"3 1 1 " + digest, "3 1 1 " + spki(leaf.Leaf)}, true},
		{"3 1 1 of the issuer", leaf, []string{"3 1 1 " + spki(ca.cert)}, false},
		{"2 0 1", leaf, []string{"2 0 1 " + whole(ca.cert)}, true},
		{"2 1 1", leaf, []string{"2 1 1 " + spki(ca.cert)}, true},
		{"2 0 1 for the domain", byDomain, []string{"2 0 1 " + whole(ca.cert)}, true},
		{"2 0 1 of another name", strange, []string{"2 0 1 " + whole(ca.cert)}, false},
		{"2 0 1 of another issuer", leaf, []string{"2 0 1 " + whole(other.cert)}, false},
		{"unusable: any certificate", strange, []string{"1 1 1 " + digest}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			lines := []string{"@ MX 10 mx1", "mx1 A 127.0.0.1"}
			for _, record := range c.tlsa {
				lines = append(lines, "_25._tcp.mx1 TLSA "+record)
			}
			w.zone("example.net", true, lines...)
			p := w.lookup(Destination{Domain: "example.net", Host: "mx1.example.net"})
			_, err := exchange(t, oldGateway{cert: c.cert}.serve(t), p.TLSConfig("mx1.example.net"))
			if (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrTLSAMismatch) {
				t.Errorf("handshake at %v: %v", p, err)
			}
		})
	}
}

func TestParseTLSA(t *testing.T) {
	for text, want := range map[string]string{
		"3 1 1 0A0b":     "3 1 1 0a0b",
		"3 1 1":          "",
		"3 1 1 zz":       "",
		"256 1 1 00":     "",
		"3 1 1 00 00":    "",
		"255 255 255 00": "255 255 255 00",
	} {
		r, err := parseTLSA(text)
		if (err == nil) != (want != "") || err == nil && r.Record() != want {
			t.Errorf("%q: %s, %v", text, r.Record(), err)
		}
	}
}

func FuzzParseTLSA(f *testing.F) {
	for _, s := range []string{"3 1 1 " + digest, "2 0 0 30", "3 1 1", "256 0 0 00", "3 1 1 0", "3  1 1 Ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseTLSA(s)
		if err != nil {
			return
		}
		if again, err := parseTLSA(r.Record()); err != nil || again.Record() != r.Record() {
			t.Errorf("%q gives %s, that gives %s, %v", s, r.Record(), again.Record(), err)
		}
	})
}

func TestAllows(t *testing.T) {
	p := Policy{Hosts: []string{"mx.example.net", "*.example.org"}}
	for host, want := range map[mail.Domain]bool{
		"mx.example.net": true, "a.example.org": true, "a.b.example.org": false, "example.org": false, "mx.example.com": false, "": false,
	} {
		if p.Allows(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
	if !(Policy{}).Allows("any.example") {
		t.Error("without Hosts, any is allowed")
	}
	if !slices.Equal(postfixPatterns(p.Hosts), []string{"mx.example.net", ".example.org"}) {
		t.Error(postfixPatterns(p.Hosts))
	}
}
