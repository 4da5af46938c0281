package quarantine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/spool"
)

func TestDestination(t *testing.T) {
	for _, c := range []struct{ provider, address, want string }{
		{"google", "b@corp.example", "google"},
		{"other", "b@corp.example", "@corp.example"},
		{"unknown", "b@corp.example", "@corp.example"},
		{"", "b@google", "@google"},
	} {
		if got := destination(spool.Recipient{Address: path(t, c.address), Provider: c.provider}); got != c.want {
			t.Errorf("%s at %q: %s, want %s", c.address, c.provider, got, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Now()
	for i := range 6 { // a tenth of a minute's worth at once
		if wait := p.take(60, []string{"google"}, now); wait != 0 {
			t.Fatalf("message %d waits %v", i, wait)
		}
	}
	if wait := p.take(60, []string{"google", "@other.example"}, now); wait < time.Second || wait > 1010*time.Millisecond {
		t.Errorf("wait %v, want a second", wait)
	}
	if wait := p.wait(60, []string{"@other.example"}, now); wait != 0 {
		t.Errorf("what was refused counts elsewhere: %v", wait)
	}
	now = now.Add(pause(60))
	for i := range 6 {
		if wait := p.take(60, []string{"google"}, now); wait != 0 {
			t.Errorf("after a pause, message %d waits %v", i, wait)
		}
	}
	p.count(60, []string{"google"}, now) // goes all the same
	if wait := p.wait(60, []string{"google"}, now); wait < 2*time.Second {
		t.Errorf("what a person sent doesn't count: %v", wait)
	}
	if wait := p.wait(0, []string{"google"}, now); wait != 0 {
		t.Errorf("without a rate, wait %v", wait)
	}
	if wait := p.wait(6000, []string{"google"}, now.Add(2*time.Second)); wait != 0 {
		t.Errorf("with a higher rate, wait %v", wait)
	}
}

func TestSlowPace(t *testing.T) {
	var p pace
	now := time.Now()
	for i := range 5 {
		if wait := p.take(1, []string{"google"}, now); wait != 0 {
			t.Errorf("message %d waits %v", i, wait)
		}
		if p.take(1, []string{"google"}, now.Add(30*time.Second)) == 0 {
			t.Error("two in a minute")
		}
		now = now.Add(pause(1))
	}
}

func TestIdleDestinationsAreForgotten(t *testing.T) {
	var p pace
	now := time.Now()
	for i := range 20 * minSweep {
		p.take(60, []string{fmt.Sprintf("@d%d.example", i)}, now)
		now = now.Add(100 * time.Millisecond)
	}
	if len(p.of) > 2*minSweep {
		t.Errorf("%d destinations kept", len(p.of))
	}
	for range 6 {
		p.take(60, []string{"@busy.example"}, now)
	}
	for i := range 5 * minSweep {
		p.take(60, []string{fmt.Sprintf("@e%d.example", i)}, now)
	}
	if p.take(60, []string{"@busy.example"}, now) == 0 {
		t.Error("a busy destination was forgotten")
	}
}

// What is mended at once leaves at the rate, oldest first, without asking DNS for
// it, and other destinations don't wait.
func TestReleaseRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.policy.ReleaseRate = 60
		for range 60 {
			w.hold(t, "one", "b@gmail.com")
		}
		w.hold(t, "one", "c@other.example")
		w.running(t)
		time.Sleep(5 * time.Second)
		if n := w.mta.took(); n != 6+1 {
			t.Errorf("%d left at once, want 6 and the other", n)
		}
		time.Sleep(30 * time.Second)
		if n := w.mta.took(); n < 1+25 || n > 1+6+30 {
			t.Errorf("%d left after half a minute", n)
		}
		time.Sleep(time.Minute)
		if n := w.mta.took(); n != 61 {
			t.Errorf("%d left in the end", n)
		}
		if n := w.judge.asked(); n > 5 { // one check every 30 s
			t.Errorf("DNS asked %d times", n)
		}
	})
}

// A message to two destinations leaves to the one that has room.
func TestRoomAtOneDestination(t *testing.T) {
	w := newWorld(t)
	w.policy.ReleaseRate = 1
	w.hold(t, "one", "b@gmail.com")
	id := w.hold(t, "one", "b@gmail.com", "c@other.example", "d@other.example")
	w.turn(t)
	if got := w.states(t, id); got != "held delivered delivered" {
		t.Error(got)
	}
	w.later = pause(1)
	w.turn(t)
	if got := w.states(t, id); got != "delivered delivered delivered" {
		t.Error(got)
	}
}

// Where there is no room, no message is read to find that out.
func TestNoRoomCostsNothing(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	w.policy.ReleaseRate = 1
	w.holdMany(t, 10, "b@gmail.com")
	w.turn(t)
	c.gets.Store(0)
	w.judge.memory = 0
	w.turn(t)
	if n := c.gets.Load(); n != 1 || w.judge.memory > 0 {
		t.Errorf("%d messages read, %d judged", n, w.judge.memory)
	}
	w = newWorld(t)
	c = w.count()
	w.policy.ReleaseRate = 1
	w.holdMany(t, groupPage+20, "b@other.example") // the provider doesn't tell the destination
	w.turn(t)
	c.gets.Store(0)
	w.turn(t)
	if n := c.gets.Load(); n != 1+groupPage {
		t.Errorf("%d messages read, want one page and the one that was judged", n)
	}
}

func TestPacedRelease(t *testing.T) {
	w := newWorld(t)
	w.policy = Policy{ReleaseRate: 60}
	var ids []string
	for range 8 {
		ids = append(ids, w.hold(t, "one", "b@gmail.com"))
	}
	request := func(id string, paced bool) error {
		_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x", Paced: paced})
		return err
	}
	for _, id := range ids[:6] {
		if err := request(id, true); err != nil {
			t.Fatal(err)
		}
	}
	var pace *PaceError
	if err := request(ids[6], true); !errors.Is(err, ErrPaced) || !errors.As(err, &pace) || pace.Wait <= 0 || pace.Wait > 2*time.Second {
		t.Errorf("without room: %v", err)
	}
	if got := w.actions(t, ids[6]); got != "hold" {
		t.Errorf("without room: %s", got)
	}
	if err := request(ids[6], false); err != nil {
		t.Errorf("a single release waits: %v", err)
	}
	if err := request(ids[7], true); !errors.As(err, &pace) || pace.Wait < 1500*time.Millisecond {
		t.Errorf("a single release doesn't count: %v", err)
	}
	w.later = 6 * time.Second
	if err := request(ids[7], true); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

// What would be refused takes no room from what passes.
func TestRefusedTakesNoRoom(t *testing.T) {
	w := newWorld(t)
	w.policy = Policy{ReleaseRate: 1}
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	for range 3 {
		if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x", Paced: true}); !errors.Is(err, ErrWouldBeRefused) {
			t.Fatal(err)
		}
	}
}

// Messages of one order share what DNS was asked after it. What it said before doesn't
// count, however short ago: the record may have been published since.
func TestOrderAsksOnce(t *testing.T) {
	w := newWorld(t)
	network, servers := dnstest.InMemory("192.0.2.53")
	var now atomic.Int64
	clock := func() time.Time { return time.UnixMilli(now.Add(1)) }
	dns, err := dnsview.New(dnsview.Options{Resolvers: []string{"192.0.2.53"}, NoAuthoritative: true, Dial: network.Dial, Now: clock, LookupTime: time.Hour, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	w.judge.ask = func(ctx context.Context) { dns.Recursive(dnsview.Fresh(ctx, 0), "one.example", "TXT") }
	asked := func(want int, what string, do func() error) {
		t.Helper()
		before := servers[0].Count()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if got := servers[0].Count() - before; got != want {
			t.Errorf("%s: asked %d times, want %d", what, got, want)
		}
	}
	release := func(since time.Time) func() error {
		id := w.hold(t, "one", "b@gmail.com")
		return func() error {
			_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x", Since: since})
			return err
		}
	}
	asked(1, "alone", release(time.Time{}))
	asked(1, "alone again", release(time.Time{}))
	ordered := clock()
	asked(1, "the first of an order", release(ordered))
	asked(0, "the second", release(ordered))
	asked(0, "the third", release(ordered))
	w.hold(t, "one", "b@gmail.com")
	asked(1, "a re-check", func() error {
		_, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
		return err
	})
	asked(1, "an order after it", release(clock()))
}
