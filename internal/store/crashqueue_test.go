package store

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// TestCrashQueue kills a process that takes, claims, settles and puts off, at every
// point of it and at random moments. What was acknowledged must be there, each
// recipient either settled as the log says or free to be claimed again.
func TestCrashQueue(t *testing.T) {
	if path, isChild := childDB(); isChild {
		queueChild(t, path)
		return
	}
	l := newLedger(filepath.Join(t.TempDir(), "mailgate.db"))
	l.test = "TestCrashQueue"
	kills := []string{
		pointEnv + "=take 9",
		pointEnv + "=settle 3", // leaves a lease
		pointEnv + "=void 0",
	}
	for _, point := range []string{"claim", "settle", "defer", "move", "before-commit", "after-commit", "before-checkpoint"} {
		kills = append(kills, pointEnv+"="+point+" "+strconv.Itoa(rand.IntN(10)))
	}
	for range killsEach {
		kills = append(kills, lineEnv+"="+strconv.Itoa(15+rand.IntN(45))) // enough to settle something
	}
	for _, kill := range kills {
		l.run(t, kill)
		if kill == pointEnv+"=settle 3" {
			continue // to open it would end the lease
		}
		s := open(t, l.path, Options{})
		l.checkQueue(t, s, kill)
		s.Close()
	}
	if n := len(l.state); n < 20 {
		t.Errorf("only %d messages were settled", n)
	}
}

// checkQueue compares the queue with the books: nothing is leased, all that wasn't
// settled can be claimed.
func (l *ledger) checkQueue(t *testing.T, s *Store, kill string) {
	t.Helper()
	sound(t, s)
	if n := count(t, s, "SELECT count(*) FROM deliveries WHERE leased IS NOT NULL"); n != 0 {
		t.Errorf("%s: %d leases of a process that is gone", kill, n)
	}
	if stuck, err := s.Stuck(t.Context()); err != nil || len(stuck) != 0 {
		t.Errorf("%s: stuck: %v, %v", kill, stuck, err)
	}
	for id := range l.taken {
		m, err := s.Get(t.Context(), id)
		if err != nil {
			t.Errorf("%s: %s had been acknowledged and is gone: %v", kill, id, err)
			continue
		}
		l.checkLog(t, s, m)
		for _, r := range m.Recipients {
			if want, acknowledged := l.state[id+r.Address.String()]; acknowledged && r.State != want {
				t.Errorf("%s: %s of %s is %s and had been settled as %s", kill, r.Address, id, r.State, want)
			}
			if (r.State == spool.Queued) == r.Delivery.Next.IsZero() {
				t.Errorf("%s: %s of %s is %s, its next try at %v", kill, r.Address, id, r.State, r.Delivery.Next)
			}
		}
	}
}

// queueChild delivers until it is killed.
func queueChild(t *testing.T, path string) {
	s := open(t, path, Options{CrashPoint: crashPoint()})
	if err := s.update(t.Context(), "test", 0, func(b *batch) error { b.w.every = 1 << 20; return nil }); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range lives / 4 {
				if queueWork(t, s); t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
}

// queueWork takes a message, claims what is due somewhere, and settles it or not.
func queueWork(t *testing.T, s *Store) {
	m := queued(t, time.Now(), "a@gmail.com", "b@gmail.com", "c@yahoo.com")
	m.Recipients[2].State = spool.Held
	m.Prefix = []byte("Received: x\r\n")
	if err := s.Take(t.Context(), m, strings.NewReader("x")); err != nil {
		t.Error(err)
		return
	}
	tell("taken %s x", m.ID)
	err := s.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued, Next: time.Now()})
	if err != nil {
		t.Error(err)
		return
	}
	now := time.Now()
	domain := []mail.Domain{"gmail.com", "yahoo.com"}[rand.IntN(2)]
	claims, err := s.Claim(t.Context(), domain, now, now.Add(time.Hour), 1+rand.IntN(4))
	if err != nil {
		t.Error(err)
		return
	}
	for _, c := range claims {
		settleSome(t, s, c)
	}
	if rand.IntN(4) == 0 {
		if _, err := s.Defer(t.Context(), domain, time.Now().Add(time.Millisecond), rand.IntN(2) == 0); err != nil {
			t.Error(err)
		}
	}
}

// settleSome settles a claim, in one of the ways there are.
func settleSome(t *testing.T, s *Store, c *spool.Claim) {
	results := all(c, spool.Result{Answer: "said", Next: time.Now(), Now: &spool.Hold{Reason: spool.Refused}})
	for i := range results {
		results[i].Into = []spool.State{spool.Delivered, spool.Delivered, spool.Queued, spool.Bounced, spool.Held}[rand.IntN(5)]
	}
	if rand.IntN(8) == 0 {
		return
	}
	if err := s.Settle(t.Context(), c, "relay", results); err != nil {
		t.Error(err)
		return
	}
	for _, r := range results {
		if r.Into.Final() {
			tell("moved %s%s %s", c.Message.ID, r.Recipient, r.Into)
		}
	}
}
