package dnsview

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
)

func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.ns1.Delay("", 50*time.Millisecond)
		r := n.resolver(nil)
		hurried, cancel := context.WithCancel(background)
		var wg sync.WaitGroup
		for i := range 100 {
			ctx := background
			if i == 0 {
				ctx = hurried
			}
			wg.Go(func() {
				a := r.Published(ctx, "www.example.com", "A")
				if i != 0 && a.Status != Found {
					t.Errorf("caller %d: %s", i, a.Status)
				}
			})
		}
		synctest.Wait() // all have come
		cancel()
		wg.Wait()
		// The SOA, the name servers, two addresses, and each server once.
		if front, ns := n.front.Count(), n.ns1.Count()+n.ns2.Count(); front != 4 || ns != 2 {
			t.Errorf("%d queries to the resolver, %d to name servers", front, ns)
		}
	})
}

func TestSteadyState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(timed(newClock()))
		ask := func() {
			r.Published(background, "www.example.com", "A")
			r.Published(background, "none.example.com", "TXT")
			r.Recursive(background, "example.com", "MX")
			r.Panel(background, "www.example.com", "A")
			r.ZoneOf(background, "www.example.com")
		}
		ask()
		before := r.Queries()
		for range 1000 {
			ask()
		}
		settle(r)
		if r.Queries() != before {
			t.Errorf("%d more queries", r.Queries()-before)
		}
	})
}

func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			n.add(s, "short.example.com 1 A 192.0.2.1", "long.example.com 86400 A 192.0.2.1", "ab.example.com 600 CNAME cd.example.com.", "cd.example.com 90 A 192.0.2.1")
		}
		n.zone(n.net, "slow.test", "@ SOA ns h 1 3600 600 86400 3600")
		n.zone(n.net, "quick.test", "@ SOA ns h 1 3600 600 86400 0")
		n.front.Fault("bad.example.com", dnstest.ServFail)
		c := newClock()
		r := n.resolver(timed(c))
		for name, want := range map[string]time.Duration{
			"www.example.com":   300 * time.Second,
			"short.example.com": 30 * time.Second,
			"long.example.com":  time.Hour,
			"ab.example.com":    90 * time.Second,
			"none.example.com":  20 * time.Second,
			"none.slow.test":    30 * time.Second,
			"none.quick.test":   5 * time.Second,
			"bad.example.com":   5 * time.Second,
		} {
			if got := r.Published(background, name, "A").Expires.Sub(c.now()); got != want {
				t.Errorf("%s lives %s, want %s", name, got, want)
			}
		}
	})
}

func TestMendedZoneIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		expect(t, r.Published(background, "new.example.com", "TXT"), "nxdomain")
		n.add(n.ns1, "new.example.com TXT x")
		n.add(n.ns2, "new.example.com TXT x")
		expect(t, r.Published(background, "new.example.com", "TXT"), "nxdomain")
		c.add(21 * time.Second)
		expect(t, r.Published(background, "new.example.com", "TXT"), "found x")
	})
}

func TestFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		expect(t, r.Published(background, "new.example.com", "TXT"), "nxdomain")
		n.add(n.ns1, "new.example.com TXT x")
		n.add(n.ns2, "new.example.com TXT x")
		c.add(10 * time.Second)
		expect(t, r.Published(Fresh(background, 10*time.Second), "new.example.com", "TXT"), "nxdomain")
		before := n.front.Count()
		expect(t, r.Published(Fresh(background, 0), "new.example.com", "TXT"), "found x")
		if n.front.Count() != before {
			t.Error("the zone was looked for again within 30 seconds")
		}
		c.add(time.Minute)
		r.Published(Fresh(background, 0), "new.example.com", "TXT")
		if n.front.Count() == before {
			t.Error("the zone's servers were not looked up again")
		}
	})
}

// Look-ups of one round share what was asked for after it began, and nothing older.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		expect(t, r.Published(background, "new.example.com", "TXT"), "nxdomain")
		n.add(n.ns1, "new.example.com TXT x")
		n.add(n.ns2, "new.example.com TXT x")
		round := Fresh(Since(background, c.now()), 0)
		c.add(time.Second)
		expect(t, r.Published(round, "new.example.com", "TXT"), "found x")
		n.ns1.Remove("new.example.com", "TXT")
		n.ns2.Remove("new.example.com", "TXT")
		before := n.ns1.Count()
		c.add(20 * time.Second)
		expect(t, r.Published(round, "new.example.com", "TXT"), "found x")
		if n.ns1.Count() != before {
			t.Error("asked twice in one round")
		}
		expect(t, r.Published(Fresh(Since(background, c.now()), 0), "new.example.com", "TXT"), "nxdomain")
	})
}

// A fresh look-up doesn't join one that may have asked too early, but shares
// the next with others like it.
func TestFreshDoesNotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife()
		defer l.end()
		m := newMemo[int](l, Options{Now: newClock().now, LookupTime: time.Minute, MaxEntries: 10, UnknownTTL: time.Second})
		gate := make(chan struct{})
		count := 0
		look := func(context.Context) outcome[int] {
			<-gate
			count++
			return outcome[int]{value: count, expires: m.now().Add(time.Hour)}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if v, _ := m.get(background, "k", look); v != 1 {
				t.Errorf("first caller got %d", v)
			}
		})
		synctest.Wait() // it looks
		for range 20 {
			wg.Go(func() {
				if v, _ := m.get(Fresh(background, 0), "k", look); v != 2 {
					t.Errorf("fresh caller got %d", v)
				}
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
	})
}

func (m *memo[V]) flying() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.flights)
}

func TestRefreshBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		ask := func(want string) {
			t.Helper()
			expect(t, r.Published(background, "www.example.com", "A"), want)
			settle(r)
		}
		ask("found 192.0.2.1")
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			s.Remove("www.example.com", "A")
			n.add(s, "www.example.com A 192.0.2.2")
		}
		c.add(230 * time.Second)
		before := r.Queries()
		ask("found 192.0.2.1")
		if r.Queries() != before {
			t.Error("refreshed before the last fifth")
		}
		c.add(20 * time.Second)
		ask("found 192.0.2.1")
		ask("found 192.0.2.2")
		c.add(200 * time.Second)
		ask("found 192.0.2.2")
	})
}

// A refresh that learns nothing leaves the good answer, and isn't tried with
// every hit.
func TestRefreshThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		r := n.resolver(timed(c))
		expect(t, r.Recursive(background, "www.example.com", "A"), "found 192.0.2.1")
		n.front.Fault("", dnstest.ServFail)
		c.add(250 * time.Second)
		for range 10 {
			expect(t, r.Recursive(background, "www.example.com", "A"), "found 192.0.2.1")
			settle(r)
		}
		if got := n.front.Count(); got != 2 {
			t.Errorf("%d queries, want 2", got)
		}
		c.add(time.Minute)
		expect(t, r.Recursive(background, "www.example.com", "A"), "unknown")
	})
}

func TestMemoBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(func(o *Options) { o.MaxEntries = 10 })
		for i := range 50 {
			r.Recursive(background, fmt.Sprintf("n%d.example.com", i), "A")
			r.Recursive(background, "www.example.com", "A")
		}
		if got := r.answers.len(); got != 10 {
			t.Errorf("%d entries kept", got)
		}
		before := r.Queries()
		r.Recursive(background, "www.example.com", "A")
		if r.Queries() != before {
			t.Error("the most used entry was dropped")
		}
	})
}

func TestRefreshesBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife()
		defer l.end()
		c := newClock()
		m := newMemo[int](l, Options{Now: c.now, LookupTime: time.Minute, MaxEntries: 100, UnknownTTL: time.Second})
		gate := make(chan struct{})
		defer close(gate)
		first := func(context.Context) outcome[int] { return outcome[int]{expires: c.now().Add(time.Minute)} }
		again := func(context.Context) outcome[int] { <-gate; return outcome[int]{expires: c.now().Add(time.Minute)} }
		for i := range 100 {
			m.get(background, fmt.Sprint(i), first)
		}
		c.add(59 * time.Second)
		for i := range 100 {
			m.get(background, fmt.Sprint(i), again)
		}
		if got := m.flying(); got != maxRefreshes {
			t.Errorf("%d refreshes at once", got)
		}
	})
}

func TestPanicIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife()
		defer l.end()
		m := newMemo[int](l, Options{Now: time.Now, LookupTime: time.Minute, MaxEntries: 1})
		_, err := m.get(background, "k", func(context.Context) outcome[int] { panic("bug") })
		if err == nil || err.Error() != "panic: bug" {
			t.Errorf("error %v", err)
		}
	})
}
