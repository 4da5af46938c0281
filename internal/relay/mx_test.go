package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

func TestMXFallback(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx1.dest.example", "203.0.113.5", 10, nil) // down, over both families
	w.hosts["mx1.dest.example"] = append(w.hosts["mx1.dest.example"], addr("2001:db8:5::1"))
	w.server("dest.example", "mx2.dest.example", "203.0.113.6", 20, &box{answer: starting(map[string]string{"greeting": "554 5.3.2 not today"})})
	b := w.server("dest.example", "mx3.dest.example", "203.0.113.7", 30, &box{})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if r := w.recipients(m)[0]; r.Delivery.Host != "mx3.dest.example" || len(b.got()) != 1 {
		t.Errorf("%+v", r.Delivery)
	}
	var tried []string
	for _, a := range w.dialed {
		tried = append(tried, a.String())
	}
	want := []string{"[2001:db8:5::1]:25", "203.0.113.5:25", "203.0.113.6:25", "203.0.113.7:25"}
	if !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
}

// Mail leaves from the egress addresses, and not over a family that has none.
func TestEgress(t *testing.T) {
	for _, c := range []struct {
		egress, host, from string // from: "" as the system likes; "-": not at all
	}{
		{"192.0.2.1", "203.0.113.5", "192.0.2.1"},
		{"192.0.2.99", "203.0.113.5", ""}, // behind address translation
		{"192.0.2.99 192.0.2.1", "203.0.113.5", "192.0.2.1"},
		{"2001:db8::1", "2001:db8:5::1", "2001:db8::1"},
		{"192.0.2.1", "2001:db8:5::1", "-"},
		{"2001:db8::1", "203.0.113.5", "-"},
		{"", "2001:db8:5::1", ""},
	} {
		w := newWorld(t)
		for s := range strings.FieldsSeq(c.egress) {
			w.settings.Egress = append(w.settings.Egress, addr(s))
		}
		w.server("dest.example", "mx.dest.example", c.host, 10, &box{})
		m := w.queue(nil, "bob@dest.example")
		w.pass()
		if c.from == "-" {
			w.want(m, spool.Queued, "none of egress can reach")
			if len(w.local) != 0 {
				t.Errorf("%+v: connected from %v", c, w.local)
			}
			continue
		}
		w.want(m, spool.Delivered, "250")
		want := netip.Addr{}
		if c.from != "" {
			want = addr(c.from)
		}
		if len(w.local) != 1 || w.local[0] != want {
			t.Errorf("%+v: from %v", c, w.local)
		}
	}
}

// What DNS says for certain is final; what it doesn't say never is.
func TestDestinationsInDNS(t *testing.T) {
	const d = mail.Domain("dest.example")
	fault := errors.New("SERVFAIL")
	for name, c := range map[string]struct {
		set    func(*world)
		state  spool.State
		status string
		says   string
	}{
		"no domain at all": {func(w *world) { w.mxErr[""] = fault }, spool.Bounced, "5.1.2", "has no domain"},
		"no such domain":   {func(w *world) { w.mxErr[d] = ErrNoName }, spool.Bounced, "5.1.2", "does not exist"},
		"SERVFAIL for MX":  {func(w *world) { w.mxErr[d] = fault }, spool.Queued, "", "SERVFAIL"},
		"null MX":          {func(w *world) { w.mx[d] = []MX{{}} }, spool.Bounced, "5.1.10", "takes no mail"},
		"a null MX beside another is none": {func(w *world) {
			w.server(d, "mx.dest.example", "203.0.113.5", 10, &box{})
			w.mx[d] = append(w.mx[d], MX{})
		}, spool.Delivered, "", "250"},
		"no MX, an address": {func(w *world) {
			w.server("elsewhere.example", d, "203.0.113.5", 10, &box{})
		}, spool.Delivered, "", "250"},
		"no MX, no address":       {func(*world) {}, spool.Bounced, "5.1.2", "neither an MX record nor an address"},
		"no MX, address unknown":  {func(w *world) { w.errs[d] = fault }, spool.Queued, "", "SERVFAIL"},
		"MX without an address":   {func(w *world) { w.mx[d] = []MX{{"gone.dest.example", 5}} }, spool.Bounced, "5.4.4", "none of the MX hosts"},
		"MX that doesn't exist":   {func(w *world) { w.mx[d] = []MX{{"gone.dest.example", 5}}; w.errs["gone.dest.example"] = ErrNoName }, spool.Bounced, "5.4.4", "none of the MX hosts"},
		"MX with address unknown": {func(w *world) { w.mx[d] = []MX{{"mx.dest.example", 5}}; w.errs["mx.dest.example"] = fault }, spool.Queued, "", "SERVFAIL"},
		"one MX unknown, the next good": {func(w *world) {
			w.mx[d] = []MX{{"mx0.dest.example", 5}}
			w.errs["mx0.dest.example"] = fault
			w.server(d, "mx.dest.example", "203.0.113.5", 10, &box{})
		}, spool.Delivered, "", "250"},
		"MX at loopback":       {func(w *world) { w.server(d, "mx.dest.example", "127.0.0.7", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"MX at ::1":            {func(w *world) { w.server(d, "mx.dest.example", "::1", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"MX at 0.0.0.0":        {func(w *world) { w.server(d, "mx.dest.example", "0.0.0.0", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"MX at mapped address": {func(w *world) { w.server(d, "mx.dest.example", "::ffff:127.0.0.1", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"MX at our address":    {func(w *world) { w.server(d, "mx.dest.example", "192.0.2.1", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"MX with our name":     {func(w *world) { w.server(d, "relay.example.com", "203.0.113.5", 10, nil) }, spool.Bounced, "5.4.6", "comes back to us"},
		"we are the backup, the primary is down": {func(w *world) {
			w.server(d, "mx.dest.example", "203.0.113.5", 10, nil)
			w.server(d, "relay.example.com", "203.0.113.6", 20, nil)
			w.server(d, "worse.dest.example", "203.0.113.7", 30, &box{})
		}, spool.Queued, "", "connection refused"},
		"we are the backup, the primary's address is unknown": {func(w *world) {
			w.mx[d] = []MX{{"mx.dest.example", 5}}
			w.errs["mx.dest.example"] = fault
			w.server(d, "relay.example.com", "203.0.113.6", 20, nil)
		}, spool.Queued, "", "SERVFAIL"},
		"all at once as good as we": {func(w *world) {
			for i := range 10 { // in any order
				w.server(d, mail.Domain(fmt.Sprintf("mx%d.dest.example", i)), "203.0.113.5", 10, nil)
			}
			w.boxes[addr("203.0.113.5")] = startBox(w.t, &box{})
			w.server(d, "relay.example.com", "203.0.113.6", 10, nil)
		}, spool.Bounced, "5.4.6", "comes back to us"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.set(w)
			to := "bob@dest.example"
			if name == "no domain at all" {
				to = "postmaster"
			}
			m := w.queue(nil, to)
			w.pass()
			w.want(m, c.state, c.says)
			all := strings.Join(w.reports(), "")
			if (c.state == spool.Bounced) != strings.Contains(all, "Status: "+c.status+"\r\n") || (all == "") != (c.state != spool.Bounced) {
				t.Errorf("reports: %s", all)
			}
		})
	}
}

// Loopback is for tests and the demonstration.
func TestLoopbackAllowed(t *testing.T) {
	w := newWorld(t)
	w.settings.Loopback = true
	w.server("dest.example", "mx.dest.example", "127.0.0.7", 10, &box{})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
}

func TestRouteFor(t *testing.T) {
	s := Settings{NextHop: Route{Via: "hop:25"}, Routes: []Route{
		{Destination: ".example.net", Via: "sub:25"}, {Destination: ".a.example.net", Via: "deeper:25"},
		{Destination: "Example.Net", Via: "exact:25"}, {Destination: "direct.example"},
	}}
	for d, want := range map[mail.Domain]string{
		"example.net": "exact:25", "b.example.net": "sub:25", "x.a.example.net": "deeper:25", "a.example.net": "sub:25",
		"badexample.net": "hop:25", "direct.example": "", "other.example": "hop:25",
	} {
		if got := s.routeFor(d); got.Via != want {
			t.Errorf("%s: %q, want %q", d, got.Via, want)
		}
	}
	s.Routes = append(s.Routes, Route{Destination: "*", Via: "all:25"})
	if got := s.routeFor("other.example"); got.Via != "all:25" {
		t.Errorf("%q", got.Via)
	}
}

// Everything for a next hop goes over its connections, each domain by itself.
func TestNextHop(t *testing.T) {
	w := newWorld(t)
	b := startBox(t, &box{})
	w.boxes[addr("203.0.113.9")] = b
	w.hosts["smart.example"] = []netip.Addr{addr("203.0.113.9")}
	w.settings.NextHop.Via = "smart.example:2525"
	w.settings.Egress = []netip.Addr{addr("2001:db8::1")} // says nothing about the way to a next hop
	m := w.queue(nil, "bob@one.example", "carol@two.example", "dave@one.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if got := b.got(); len(got) != 2 || len(got[0].to)+len(got[1].to) != 3 {
		t.Errorf("%+v", got)
	}
	if w.dialed[0] != netip.MustParseAddrPort("203.0.113.9:2525") || w.local[0].IsValid() {
		t.Errorf("dialed %v from %v", w.dialed, w.local)
	}
	if _, most := b.count(); most > 5 {
		t.Errorf("%d connections at once", most)
	}
	delete(w.hosts, "smart.example")
	w.advance(time.Hour)
	w.e.parked.closeAll()
	m = w.queue(nil, "bob@one.example")
	w.pass()
	w.want(m, spool.Queued, "can't be found")
}

func TestUsableAlternates(t *testing.T) {
	got := Settings{}.usable([]netip.Addr{addr("192.0.2.1"), addr("192.0.2.2"), addr("2001:db8::1"), addr("192.0.2.3"), addr("224.0.0.1")}, 25)
	want := "[2001:db8::1]:25 192.0.2.1:25 192.0.2.2:25 192.0.2.3:25"
	var list []string
	for _, a := range got {
		list = append(list, a.String())
	}
	if strings.Join(list, " ") != want {
		t.Errorf("%v, want %s", list, want)
	}
}
