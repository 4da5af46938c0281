package preflight

import (
	"slices"
	"testing"
	"testing/synctest"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
)

// internet is a small Internet of real DNS servers: a resolver, two name servers
// of example.com and a hosting panel. It is for a bubble of synctest.
type internet struct {
	front, ns1, ns2, panel *dnstest.Server
	resolver               *dnsview.Resolver
}

func newInternet(t *testing.T) internet {
	t.Helper()
	memory, s := dnstest.InMemory("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
	for _, server := range s {
		t.Cleanup(func() { server.Close() })
	}
	n := internet{front: s[0], ns1: s[1], ns2: s[2], panel: s[3]}
	for _, server := range []*dnstest.Server{n.ns1, n.ns2} {
		zones(t, server)
	}
	if err := n.front.Recursive(n.ns1, n.ns2); err != nil {
		t.Fatal(err)
	}
	var err error
	n.resolver, err = dnsview.New(dnsview.Options{Resolvers: []string{n.front.Addr()}, Panel: n.panel.Addr(), Dial: memory.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.resolver.Close)
	return n
}

func zones(t *testing.T, server *dnstest.Server) {
	t.Helper()
	for origin, text := range map[string]string{
		"example.com": `
@ NS ns1
@ NS ns2
ns1 A 127.0.0.2
ns2 A 127.0.0.3
mx1 A 203.0.113.9
@ TXT "v=spf1 ip4:203.0.113.9 ~all"
_dmarc TXT "v=DMARC1; p=none"`,
		"113.0.203.in-addr.arpa": "@ NS ns1.example.com.\n9 PTR mx1.example.com.",
	} {
		if err := server.SetZone(origin, text); err != nil {
			t.Fatal(err)
		}
	}
}

func publish(t *testing.T, servers ...*dnstest.Server) {
	t.Helper()
	for _, s := range servers {
		if err := s.AddTXT("mail._domainkey.example.com", "v=DKIM1; k=rsa; p="+publishedForm(ourKey())); err != nil {
			t.Fatal(err)
		}
	}
}

func bad(r *Report) []string {
	var codes []string
	for _, f := range r.Findings {
		if f.Status != Pass {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

func TestRealDNS(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, n internet)
		want []string
	}{
		{"all is well", func(t *testing.T, n internet) { publish(t, n.ns1, n.ns2) }, nil},
		{"only in the panel", func(t *testing.T, n internet) {
			if err := n.panel.SetZone("example.com", ""); err != nil {
				t.Fatal(err)
			}
			publish(t, n.panel)
		}, []string{"dkim-only-on-local-dns"}},
		{"on one server", func(t *testing.T, n internet) { publish(t, n.ns1) }, []string{"ns-disagree"}},
		{"one server is silent", func(t *testing.T, n internet) {
			publish(t, n.ns1, n.ns2)
			n.ns2.Fault("", dnstest.Timeout)
		}, []string{"ns-lame"}},
		{"missing while one server is silent", func(t *testing.T, n internet) { n.ns2.Fault("", dnstest.Timeout) }, []string{"dkim-missing"}},
		{"one server is lame", func(t *testing.T, n internet) {
			publish(t, n.ns1, n.ns2)
			n.ns1.Fault("", dnstest.Refused)
		}, []string{"ns-lame"}},
		{"one server answers without authority", func(t *testing.T, n internet) {
			publish(t, n.ns1, n.ns2)
			n.ns1.Fault("", dnstest.Lame)
		}, []string{"ns-lame"}},
		{"resolver finds DNSSEC bogus", func(t *testing.T, n internet) {
			publish(t, n.ns1, n.ns2)
			n.front.Fault("mail._domainkey.example.com", dnstest.Bogus)
		}, []string{"dnssec-bogus"}},
		{"CNAME to nowhere", func(t *testing.T, n internet) {
			for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
				if err := s.Add("mail._domainkey.example.com. CNAME gone.example.com."); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"dkim-cname-dangling"}},
		{"SPF of type 99", func(t *testing.T, n internet) {
			publish(t, n.ns1, n.ns2)
			for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
				s.Remove("example.com", "TXT")
				if err := s.Add(`example.com. SPF "v=spf1 ip4:203.0.113.9 ~all"`); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"spf-type-99-only"}},
		{"quotes in the value", func(t *testing.T, n internet) {
			for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
				if err := s.AddTXT("mail._domainkey.example.com", `"v=DKIM1; k=rsa; p=`+publishedForm(ourKey())+`"`); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"dkim-quotes-in-value"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t)
				c.make(t, n)
				r := New(n.resolver, Options{}).Check(t.Context(), goodIdentity())
				if got := bad(r); !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q\n%s", got, c.want, r)
				}
				if want := []string{"ns1.example.com", "ns2.example.com"}; !slices.Equal(r.NameServers, want) {
					t.Errorf("name servers %q", r.NameServers)
				}
			})
		})
	}
}

// TestRealDNSMended is the first incident: the key is only in the panel, and the
// verdict turns as soon as it is published.
func TestRealDNSMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		if err := n.panel.SetZone("example.com", ""); err != nil {
			t.Fatal(err)
		}
		publish(t, n.panel)
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			s.Remove("example.com", "TXT")
		}
		c := New(n.resolver, Options{})
		p := Predict(Google, c.Check(t.Context(), goodIdentity()), Extra{})
		if p.Rule != "gmail-unauthenticated" || !slices.Equal(p.Codes, []string{"dkim-only-on-local-dns", "spf-missing"}) {
			t.Errorf("%+v", p)
		}
		publish(t, n.ns1, n.ns2)
		if p = Predict(Google, c.Recheck(t.Context(), goodIdentity()), Extra{}); p.Verdict != Accept {
			t.Errorf("after publishing: %+v", p)
		}
		before := n.resolver.Queries()
		for range 1000 {
			c.Check(t.Context(), goodIdentity())
		}
		if asked := n.resolver.Queries() - before; asked != 0 {
			t.Errorf("%d queries for 1000 messages", asked)
		}
	})
}
