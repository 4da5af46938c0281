package relay

import (
	"strconv"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// A destination that is down is tried by one message at a time; the others wait for the
// end of the pause, as do those that come meanwhile, and their senders are told in time.
func TestPauseIsTheDestinations(t *testing.T) {
	w := newWorld(t)
	w.settings.DelayAfter = 4 * time.Hour
	w.settings.PerDestination = 1 // of several, each may begin before another has failed
	home := w.server("example.com", "mx.example.com", "203.0.113.7", 10, &box{})
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	var all []*spool.Message
	for range 3 * claimSize {
		all = append(all, w.queue(nil, "bob@down.example"))
	}
	w.until(3 * time.Hour)
	tries := 0
	for _, m := range all {
		d := w.recipients(m)[0].Delivery
		if tries += d.Tries; !d.Next.After(w.clock()) {
			t.Errorf("next try %v from now", d.Next.Sub(w.clock()))
		}
	}
	dialed := len(w.dialed)
	if tries != dialed || dialed > 12 {
		t.Errorf("%d tries were taken down for %d connections", tries, dialed)
	}
	before := len(w.dialed)
	w.engine(nil) // a new process leaves it in peace, too
	last := w.queue(nil, "carol@down.example")
	w.pass()
	if len(w.dialed) != before || w.recipients(last)[0].Delivery.Tries != 0 {
		t.Error("tried during the pause")
	}
	list, err := w.store.Destinations(t.Context(), 1)
	if err != nil || len(list) != 1 || list[0].Answer == "" || !list[0].Next.After(w.clock()) || list[0].Leased != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	w.until(3 * time.Hour)
	if n := len(home.got()); n != 3*claimSize {
		t.Errorf("%d senders were told of the delay", n)
	}
	b := startBox(t, &box{})
	w.boxes[addr("203.0.113.6")] = b
	w.until(5 * time.Hour)
	if n := len(b.got()); n != 3*claimSize+1 || len(home.got()) != 3*claimSize {
		t.Errorf("%d arrived, %d reports", n, len(home.got()))
	}
}

// All are given up in time, though few were tried.
func TestPausedToTheEnd(t *testing.T) {
	w := newWorld(t)
	home := w.server("example.com", "mx.example.com", "203.0.113.7", 10, &box{})
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	for range 3 * claimSize {
		w.queue(nil, "bob@down.example")
	}
	w.until(5*24*time.Hour + 70*time.Minute)
	counts, err := w.store.Count(t.Context())
	if err != nil || counts.States[spool.Bounced] != 3*claimSize || len(home.got()) != 3*claimSize {
		t.Errorf("%+v, %v; %d reports", counts, err, len(home.got()))
	}
}

// Each of the domains behind a next hop that is down has a message that meets the
// trouble, or two where workers began together, and then is left in peace.
func TestPauseOfANextHop(t *testing.T) {
	for _, workers := range []int{1, 3} { // that may begin together
		w := newWorld(t)
		w.settings.PerDestination = workers
		w.hop(nil)
		var all []*spool.Message
		for i := range 30 {
			all = append(all, w.queue(nil, "bob@d"+strconv.Itoa(i%3)+".example"))
		}
		w.pass()
		tried := 0
		for _, m := range all {
			if d := w.recipients(m)[0].Delivery; d.Tries > 0 {
				tried++
			}
		}
		if n := len(w.dialed); n < 1 || n > workers || tried < 3 || tried > 3*min(workers, 2) {
			t.Errorf("%d workers: %d connections, %d of 30 messages tried", workers, n, tried)
		}
		if due, err := w.store.Due(t.Context(), w.clock(), nil, 10); err != nil || len(due) != 0 {
			t.Errorf("due: %v, %v", due, err)
		}
	}
}

// A server that takes so many connections at once and no more isn't down: the worker
// that is too many gives back what it has, and those that have one go on.
func TestOneConnectionTooMany(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"greeting": "421 4.7.0 too many connections"})})
	for range 3 {
		w.queue(nil, "bob@dest.example")
	}
	due := func() int {
		claims, err := w.store.Claim(t.Context(), "dest.example", w.clock(), w.clock().Add(lease), claimSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.Unclaim(t.Context(), claims...); err != nil {
			t.Fatal(err)
		}
		return len(claims)
	}
	const d mail.Domain = "dest.example"
	s := w.e.settings()
	in, _ := w.e.lanes.enter(d, string(d), s)
	w.e.lanes.claimed(d)
	if _, ok := w.e.lanes.enter(d, string(d), s); !ok {
		t.Fatal("no second worker")
	}
	if err := w.e.serve(t.Context(), d, in); err != nil {
		t.Fatal(err)
	}
	if n := due(); n != 2 {
		t.Errorf("%d messages for the other worker, want 2", n)
	}
	w.e.lanes.leave(d, in)
	if _, ok := w.e.lanes.enter(d, string(d), s); ok {
		t.Error("a second connection at once to a server that wants none")
	}
	if err := w.e.serve(t.Context(), d, in); err != nil {
		t.Fatal(err)
	}
	if n := due(); n != 0 {
		t.Errorf("%d messages due, though nobody has a connection", n)
	}
}
