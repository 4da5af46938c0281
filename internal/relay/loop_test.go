package relay

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

func fromNobody(m *spool.Message) { m.Envelope.From = mail.Address{} }

// Our own reports to a domain whose MX is this machine wait for a route; other mail
// is returned. The log says so once an hour.
func TestReportsThatComeBack(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "192.0.2.1", 10, nil)
	report := w.queue(fromNobody, "ann@dest.example")
	other := w.queue(nil, "ann@dest.example")
	second := w.queue(fromNobody, "bob@dest.example")
	w.pass()
	w.want(report, spool.Queued, "comes back to us: its MX host mx.dest.example is this machine")
	w.want(second, spool.Queued, "comes back to us")
	w.want(other, spool.Bounced, "comes back to us")
	warnings := func() int { return strings.Count(w.log.String(), `level=WARN msg="reports can't be delivered`) }
	if n := warnings(); n != 1 {
		t.Errorf("%d warnings at first, want 1:\n%s", n, w.log)
	}
	w.until(59 * time.Minute)
	if n := warnings(); n != 1 {
		t.Errorf("%d warnings within the hour, want 1", n)
	}
	w.until(4 * time.Hour)
	if n := warnings(); n < 2 || n > 5 {
		t.Errorf("%d warnings in five hours", n)
	}

	b := startBox(t, &box{}) // a route mends it
	w.boxes[addr("192.0.2.1")] = b
	w.settings.Routes = []Route{{Destination: "dest.example", Via: "192.0.2.1:2500"}}
	w.until(5 * time.Hour)
	w.want(report, spool.Delivered, "250")
	w.want(second, spool.Delivered, "250")
}

// Without a route they end as all mail does.
func TestReportsThatComeBackEnd(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "192.0.2.1", 10, nil)
	report := w.queue(fromNobody, "ann@dest.example")
	w.until(5*24*time.Hour - time.Minute)
	w.want(report, spool.Queued, "comes back to us")
	w.until(2 * time.Minute)
	w.want(report, spool.Bounced, "comes back to us")
}

func TestComesBack(t *testing.T) {
	const d = mail.Domain("dest.example")
	for name, c := range map[string]struct {
		set  func(*world)
		want string
	}{
		"elsewhere":             {func(w *world) { w.server(d, "mx.dest.example", "203.0.113.5", 10, nil) }, ""},
		"at this machine":       {func(w *world) { w.server(d, "mx.dest.example", "192.0.2.1", 10, nil) }, "mx.dest.example"},
		"with our name":         {func(w *world) { w.server(d, "relay.example.com", "203.0.113.5", 10, nil) }, "relay.example.com"},
		"at the egress address": {func(w *world) { w.server(d, "mx.dest.example", "203.0.113.9", 10, nil) }, "mx.dest.example"},
		"without MX record":     {func(w *world) { w.hosts[d] = []netip.Addr{addr("203.0.113.9")} }, "dest.example"},
		"takes no mail":         {func(w *world) { w.mx[d] = []MX{{}} }, ""},
		"DNS says nothing":      {func(w *world) { w.mxErr[d] = errors.New("SERVFAIL") }, ""},
		"a backup only": {func(w *world) {
			w.server(d, "relay.example.com", "192.0.2.1", 20, nil)
			w.server(d, "mx.dest.example", "203.0.113.5", 10, nil)
		}, ""},
		"a route": {func(w *world) {
			w.server(d, "mx.dest.example", "192.0.2.1", 10, nil)
			w.settings.Routes = []Route{{Destination: "dest.example", Via: "192.0.2.1:2500"}}
		}, ""},
		"a next hop": {func(w *world) {
			w.server(d, "mx.dest.example", "192.0.2.1", 10, nil)
			w.settings.NextHop.Via = "192.0.2.1:2500"
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settings.Egress = []netip.Addr{addr("203.0.113.9")}
			c.set(w)
			if got := w.e.ComesBack(t.Context(), d); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
