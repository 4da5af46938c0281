package dnsview

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestAt asks a server that the domain isn't delegated to yet, and nobody else.
func TestAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.panel, "example.com", "@ NS ns1.new.example.\nnew._domainkey TXT \"v=DKIM1; p=new\"\naway CNAME sel.example.net.")
		r := n.resolver(func(o *Options) { o.At = n.panel.Addr() })
		asked := n.ns1.Count() + n.ns2.Count()
		a := r.Published(background, "new._domainkey.example.com", "TXT")
		expect(t, a, "found v=DKIM1; p=new")
		if o := a.Observations[0]; o.View != Authoritative || !o.AA || o.Server != n.panel.Addr() || a.Fallback != "" || !slices.Equal(a.NameServers, []string{n.panel.Addr()}) {
			t.Errorf("%+v", a)
		}
		expect(t, r.Published(background, "none.example.com", "TXT"), "nxdomain")
		expect(t, r.Published(background, "away.example.com", "TXT"), "unknown")
		other := r.Published(background, "www.example.org", "A")
		expect(t, other, "unknown fallback")
		if !strings.Contains(other.Fallback, "no authority") {
			t.Errorf("fallback %q", other.Fallback)
		}
		if z := r.ZoneOf(background, "new._domainkey.example.com"); z.Apex != "example.com" || !slices.Equal(z.NameServers, []string{"ns1.new.example"}) {
			t.Errorf("%+v", z)
		}
		if _, configured := r.Panel(background, "example.com", "TXT"); configured {
			t.Error("the panel was asked as well")
		}
		if n.ns1.Count()+n.ns2.Count() != asked {
			t.Error("another server was asked")
		}
	})
}

// TestAtResolver takes a resolver's word, and says that it is one's.
func TestAtResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(func(o *Options) { o.At = o.Resolvers[0] })
		a := r.Published(background, "www.example.com", "A")
		expect(t, a, "found 192.0.2.1 fallback")
		if a.Observations[0].View != Recursive || a.Fallback == "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestAtWantsAnAddress(t *testing.T) {
	for _, at := range []string{"ns1.example.com", "127.0.0.1:x", "127.0.0.1:0"} {
		if _, err := New(Options{At: at}); err == nil {
			t.Errorf("At %q is taken", at)
		}
	}
}
