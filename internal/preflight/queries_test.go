package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

// identities in a round of re-checks, and how many are under way at once.
const (
	roundOf     = 50
	roundAtOnce = 8
)

// TestRoundAsksOnce counts at the servers what a round of re-checks asks: what the
// identities share is asked for once, and no server is asked the same thing again
// and again.
func TestRoundAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		ids := manyIdentities(t, n)
		c := New(n.resolver, Options{})
		round := func(missing bool) {
			t.Helper()
			marks := n.marks()
			began := time.Now()
			time.Sleep(time.Millisecond) // what was asked at that very moment may be older
			recheckAll(Round(t.Context(), began), c, ids, func(id Identity, r *Report) {
				if slices.Contains(bad(r), "dkim-missing") != missing {
					t.Errorf("%s: found %q; missing key %v", id.From, bad(r), missing)
				}
			})
			n.wantQueries(t, marks)
		}
		round(true)
		for _, id := range ids {
			for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
				if err := s.AddTXT(id.Keys[0].name(), "v=DKIM1; k=rsa; p="+publishedForm(ourKey())); err != nil {
					t.Fatal(err)
				}
			}
		}
		round(false)
	})
}

// manyIdentities makes domains with all but a key, which share an SPF include, name
// servers and the gateway's address.
func manyIdentities(t *testing.T, n internet) []Identity {
	t.Helper()
	servers := []*dnstest.Server{n.ns1, n.ns2}
	ids := make([]Identity, roundOf)
	for i := range ids {
		domain := mail.Domain(fmt.Sprintf("d%d.test", i))
		ids[i] = Identity{
			From: domain, MailFrom: domain, Helo: "mx1.example.com",
			Keys:   []Key{{Domain: domain, Selector: "mail", Public: ourKey()}},
			Egress: []netip.Addr{netip.MustParseAddr("203.0.113.9")},
		}
		for _, s := range servers {
			err := s.SetZone(string(domain), `
@ NS ns1.example.com.
@ NS ns2.example.com.
@ TXT "v=spf1 include:_spf.example.com -all"
_dmarc TXT "v=DMARC1; p=none"`)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range servers {
		if err := s.AddTXT("_spf.example.com", "v=spf1 ip4:203.0.113.9 -all"); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func recheckAll(ctx context.Context, c *Checker, ids []Identity, seen func(Identity, *Report)) {
	work := make(chan Identity)
	var running sync.WaitGroup
	for range roundAtOnce {
		running.Go(func() {
			for id := range work {
				seen(id, c.Recheck(ctx, id))
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	running.Wait()
}

func (n internet) servers() []*dnstest.Server { return []*dnstest.Server{n.front, n.ns1, n.ns2} }

// marks remembers how much each server was asked so far.
func (n internet) marks() []int {
	var marks []int
	for _, s := range n.servers() {
		marks = append(marks, s.Count())
	}
	return marks
}

// wantQueries bounds what was asked since: of each name server each question once,
// of the resolver twice, once to find the zone and once for the check.
func (n internet) wantQueries(t *testing.T, since []int) {
	t.Helper()
	for i, s := range n.servers() {
		count := map[dnstest.Query]int{}
		for _, q := range s.Queries()[since[i]:] {
			count[q]++
		}
		most := 1
		if s == n.front {
			most = 2
		}
		for q, times := range count {
			if times > most {
				t.Errorf("%s was asked %d times for %s %s", s.Addr(), times, q.Name, q.Type)
			}
		}
	}
}
