package dnsview

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/dnstest"
)

const exampleZone = `
@                SOA   ns1 hostmaster 1 3600 600 86400 20
                 NS    ns1
                 NS    ns2
ns1              A     127.0.0.2
ns2              A     127.0.0.3
www              A     192.0.2.1
@                MX    20 b
@                MX    10 a
mail._domainkey  TXT   "v=DKIM1; " "p=\"x\\y\001"
cname            CNAME www
away             CNAME sel.example.net.
dangling         CNAME none.example.net.
loop             CNAME loop2
loop2            CNAME loop
tail             CNAME loop
`

// internet is a resolver (127.0.0.1), two name servers of example.com, one of
// example.net that also has other zones, and a hosting panel. It is for a bubble of
// synctest, where only silence takes time.
type internet struct {
	*testing.T
	memory                      *dnstest.Memory
	front, ns1, ns2, net, panel *dnstest.Server
}

func newInternet(t *testing.T) internet {
	t.Helper()
	memory, s := dnstest.InMemory("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
	for _, server := range s {
		t.Cleanup(func() { server.Close() })
	}
	n := internet{t, memory, s[0], s[1], s[2], s[3], s[4]}
	n.zone(n.ns1, "example.com", exampleZone)
	n.zone(n.ns2, "example.com", exampleZone)
	n.zone(n.net, "example.net", `sel 60 TXT "v=DKIM1; p=net"`)
	if err := n.front.Recursive(n.ns1, n.ns2, n.net); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n internet) zone(s *dnstest.Server, origin, text string) {
	n.Helper()
	if err := s.SetZone(origin, text); err != nil {
		n.Fatal(err)
	}
}

func (n internet) add(s *dnstest.Server, lines ...string) {
	n.Helper()
	if err := s.Add(lines...); err != nil {
		n.Fatal(err)
	}
}

// resolver asks the internet; change may alter its options.
func (n internet) resolver(change func(*Options)) *Resolver {
	n.Helper()
	o := Options{
		Resolvers: []string{n.front.Addr()},
		Panel:     n.panel.Addr(),
		Timeout:   400 * time.Millisecond,
		Dial:      n.memory.Dial,
	}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(r.Close)
	r.routeIPv6 = func() bool { return false }
	return r
}

// clock is a time that moves only when told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func timed(c *clock) func(*Options) { return func(o *Options) { o.Now = c.now } }

// settle waits for background work.
func settle(r *Resolver) { r.life.wg.Wait() }

// summary writes an answer in one line.
func summary(a Answer) string {
	out := []string{string(a.Status)}
	out = append(out, a.Texts()...)
	if a.Disagree {
		out = append(out, "disagree")
	}
	if len(a.CNAMEs) > 0 {
		out = append(out, "via", strings.Join(a.CNAMEs, " "))
	}
	if a.Fallback != "" {
		out = append(out, "fallback")
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, a Answer, want string) {
	t.Helper()
	if got := summary(a); got != want {
		t.Errorf("%s %s: got %q, want %q\n%+v", a.Name, a.Type, got, want, a)
	}
}

// faults lists the errors observed in a view.
func faults(a Answer, view View) []string {
	var out []string
	for _, o := range a.Observations {
		if o.View == view && o.Error != "" {
			out = append(out, o.Error)
		}
	}
	return out
}

var background = context.Background()
