package preflight

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"mailgate/internal/dnsview"
)

// sides writes answers as "ns1.host.example match", the panel's as "panel match".
func sides(servers []KeyServer) string {
	var words []string
	for _, s := range servers {
		who := s.Server
		if s.View == dnsview.Panel {
			who = "panel"
		}
		words = append(words, strings.TrimSuffix(who, ".host.example")+" "+string(s.Match))
	}
	return strings.Join(words, ", ")
}

func TestKeyServers(t *testing.T) {
	const at = "mail._domainkey.example.com"
	tests := []struct{ name, zone, want string }{
		{"everywhere", "", "ns1 match, ns2 match"},
		{"only in the panel", "- " + at + " TXT\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`, "ns1 none, ns2 none, panel match"},
		{"an old one in the panel", "panel " + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, "ns1 match, ns2 match, panel other"},
		{"not in the panel", `panel example.com TXT "v=spf1 -all"`, "ns1 match, ns2 match, panel none"},
		{"on one of two", "@ns1 " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`, "ns1 match, ns2 none"},
		{"two versions", "@ns1 " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"` + "\n@ns2 " + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, "ns1 match, ns2 other"},
		{"revoked", at + ` TXT "v=DKIM1; p="`, "ns1 invalid, ns2 invalid"},
		{"two records", at + ` TXT "v=DKIM1; p={KEY}"` + "\n" + at + ` TXT "v=DKIM1; p={OLD}"`, "ns1 invalid, ns2 invalid"},
		{"lame", "lame ns2", "ns1 match, ns2 no-answer"},
		{"silent", "fault " + at + " TXT", "ns1 no-answer"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := sides(New(newFakeDNS(goodZone, c.zone), Options{}).KeyServers(t.Context(), goodIdentity().Keys[0]))
				if got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// An answer from a name server's cache is no evidence; a resolver's is.
func TestKeyMatchWantsAuthority(t *testing.T) {
	o := dnsview.Observation{View: dnsview.Authoritative, Rcode: "NOERROR", Records: []string{"v=DKIM1; p=" + publishedForm(ourKey())}}
	key := goodIdentity().Keys[0]
	if got := matchOf(key, o); got != KeyNoAnswer {
		t.Errorf("without authority: %s", got)
	}
	if o.View = dnsview.Recursive; matchOf(key, o) != KeyMatches {
		t.Errorf("from a resolver: %s", matchOf(key, o))
	}
}

// TestKeyServersBehindAlias has the CNAME's own answer told from the key's.
func TestKeyServersBehindAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		for _, s := range []interface{ Add(...string) error }{n.ns1, n.ns2} {
			if err := s.Add("mail._domainkey.example.com. CNAME key.example.com.", `key.example.com. TXT "v=DKIM1; p=`+publishedForm(ourKey())[:200]+`" "`+publishedForm(ourKey())[200:]+`"`); err != nil {
				t.Fatal(err)
			}
		}
		got := sides(New(n.resolver, Options{}).KeyServers(t.Context(), goodIdentity().Keys[0]))
		const want = "ns1.example.com alias, ns2.example.com alias, ns1.example.com match, ns2.example.com match, panel no-answer"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestFindSelectors(t *testing.T) {
	tests := []struct {
		name, zone string
		want       []string
	}{
		{"two", `google._domainkey.example.com TXT "v=DKIM1; p={OLD}"`, []string{"mail", "google"}},
		{"a revoked one, and no key", `mail._domainkey.example.com TXT "v=DKIM1; p="` + "\n" + `default._domainkey.example.com TXT "hello"`, nil},
		{"a wildcard", `*._domainkey.example.com TXT "v=DKIM1; p={OLD}"`, nil},
		{"silence", "fault mail._domainkey.example.com TXT", nil},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := newFakeDNS(goodZone, c.zone)
				if got := New(dns, Options{}).FindSelectors(t.Context(), "example.com"); !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q", got, c.want)
				}
				if asked := dns.queries.Load(); asked > 25 {
					t.Errorf("%d queries", asked)
				}
			})
		})
	}
}
