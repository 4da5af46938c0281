package quarantine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

func TestInterval(t *testing.T) {
	for _, c := range []struct{ age, least, want time.Duration }{
		{0, 30 * time.Second, 30 * time.Second},
		{5 * time.Minute, 30 * time.Second, 30 * time.Second},
		{20 * time.Minute, 30 * time.Second, 2 * time.Minute},
		{24 * time.Hour, 30 * time.Second, 15 * time.Minute},
		{24 * time.Hour, time.Hour, time.Hour},
	} {
		if got := interval(c.age, c.least); got != c.want {
			t.Errorf("age %v, at least %v: %v, want %v", c.age, c.least, got, c.want)
		}
	}
}

// running runs the quarantine of w in the bubble of a synctest.
func (w *world) running(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// What is held is checked at once at the start, then the later the older it is.
func TestChecksGetRarer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.judge.refuse("gmail.com")
		w.hold(t, "one", "b@gmail.com")
		w.running(t)
		began := time.Now()
		var at []string
		for last := 0; len(at) < 14; time.Sleep(time.Second) {
			if n := w.judge.asked(); n > last {
				at, last = append(at, time.Since(began).Round(10*time.Second).String()), n
			}
		}
		// A tenth of the age, at least 30 s.
		want := "[0s 30s 1m0s 1m30s 2m0s 2m30s 3m0s 3m30s 4m0s 4m30s 5m0s 5m30s 6m0s 6m40s]"
		if got := fmt.Sprint(at); got != want {
			t.Errorf("checked at\n%s, want\n%s", got, want)
		}
		time.Sleep(4 * time.Hour)
		n := w.judge.asked()
		if time.Sleep(time.Hour); w.judge.asked()-n != 4 {
			t.Errorf("after some hours, checked %d times an hour, want 4", w.judge.asked()-n)
		}
	})
}

// New mail is seen, a reload checks everything at once, and what passes leaves.
func TestNewMailAndReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.running(t)
		time.Sleep(time.Hour)
		w.judge.refuse("gmail.com")
		id := w.hold(t, "one", "b@gmail.com")
		time.Sleep(time.Minute)
		if w.judge.asked() == 0 {
			t.Fatal("new mail isn't seen")
		}
		time.Sleep(time.Hour) // the next check is minutes away
		w.judge.pass("gmail.com")
		w.Reloaded()
		time.Sleep(2 * time.Second)
		if got := w.states(t, id); got != "delivered" {
			t.Errorf("%s after a reload", got)
		}
	})
}

// How often DNS is asked doesn't time what is told and returned, nor does a reload
// wait for the next round.
func TestHouseKeepsItsOwnPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.judge.refuse("gmail.com")
		w.policy.Hostname, w.policy.Recheck, w.policy.MaxAge = "mx1.example.com", 24*time.Hour, time.Minute
		w.o.Injector = &postman{w: w}
		id := w.hold(t, "one", "b@gmail.com")
		w.running(t)
		time.Sleep(time.Minute + 2*housePace)
		if got := w.states(t, id); got != "bounced" {
			t.Errorf("%s after max_age", got)
		}
		w.maxAge(time.Hour)
		late := w.hold(t, "two", "b@gmail.com")
		time.Sleep(10 * time.Second)
		w.maxAge(time.Second)
		w.Reloaded()
		time.Sleep(time.Second)
		if got := w.states(t, late); got != "bounced" {
			t.Errorf("%s after a reload", got)
		}
	})
}

// maxAge changes the policy while Run runs.
func (w *world) maxAge(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy.MaxAge = d
}

// A reload while a check is under way has it checked again.
func TestReloadDuringACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.judge.refuse("gmail.com")
		w.judge.slow = map[mail.Domain]time.Duration{"example.com": 5 * time.Second}
		w.hold(t, "one", "b@gmail.com")
		w.running(t)
		time.Sleep(2 * time.Second)
		w.Reloaded()
		time.Sleep(10 * time.Second)
		if n := w.judge.asked(); n != 2 {
			t.Errorf("checked %d times, want 2", n)
		}
	})
}

// A thousand identities whose name servers are dead take turns by eight, whoever
// wants them checked.
func TestDeadNameServersAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		groups := make([]spool.Group, 1000)
		w.judge.slow = map[mail.Domain]time.Duration{}
		for i := range groups {
			from := mail.Domain(fmt.Sprintf("d%d.example", i))
			groups[i] = spool.Group{GroupKey: spool.GroupKey{From: from, Reason: spool.Waiting, Provider: "google"}, Held: 1, Oldest: time.Now()}
			w.judge.slow[from] = 5 * time.Second
		}
		w.judge.keepWaiting("gmail.com")
		w.Quarantine = New(&listed{Store: w.store, groups: groups}, w.o)
		began := time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
				if err != nil || sum.Done != 1000 || sum.Waiting != 1000 {
					t.Errorf("%+v, %v", sum, err)
				}
			})
		}
		both.Wait()
		if took := time.Since(began); took != 2*1000/8*5*time.Second {
			t.Errorf("took %v", took)
		}
		if w.judge.most != 8 {
			t.Errorf("%d at the same time, want 8", w.judge.most)
		}
	})
}

// Mail that is slow to check keeps nobody else's from leaving.
func TestSlowIdentityDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.judge.slow = map[mail.Domain]time.Duration{"slow.example": time.Hour}
		w.holdFrom(t, "ann@slow.example", "b@gmail.com")
		w.running(t)
		time.Sleep(time.Minute)
		id := w.hold(t, "one", "b@gmail.com")
		time.Sleep(time.Minute)
		if got := w.states(t, id); got != "delivered" {
			t.Error(got)
		}
	})
}

// listed is a store with one message in each of some groups.
type listed struct {
	spool.Store
	groups []spool.Group
}

func (l *listed) HeldGroups(context.Context) ([]spool.Group, error) { return l.groups, nil }

func (l *listed) GroupIDs(_ context.Context, g spool.GroupKey, after string, _ int) ([]string, error) {
	if after != "" {
		return nil, nil
	}
	return []string{string(g.From)}, nil
}

func (l *listed) Get(_ context.Context, id string) (*spool.Message, error) {
	for _, g := range l.groups {
		if id == string(g.From) {
			return &spool.Message{ID: id, From: mail.Address{Local: "ann", Domain: g.From}, Recipients: []spool.Recipient{{
				Address: mail.Address{Local: "b", Domain: "gmail.com"}, State: spool.Held, Reason: g.Reason, Provider: g.Provider,
			}}}, nil
		}
	}
	return nil, spool.ErrNotFound
}

func (l *listed) Move(context.Context, spool.Move) error { return nil }

// A check that can't read the store is tried again, and the rest of what Run does
// goes on.
func TestStoreFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldAt(t, time.Now)
		w.hold(t, "one", "b@gmail.com")
		broken := &unreadable{Store: w.store}
		w.Quarantine = New(broken, w.o)
		w.mta.redeem = w.Redeem
		w.running(t)
		time.Sleep(time.Minute)
		if n := broken.mend(); n < 2 {
			t.Fatalf("read %d times", n)
		}
		time.Sleep(time.Minute)
		if n := w.mta.took(); n != 1 {
			t.Errorf("the MTA got %d", n)
		}
	})
}

type unreadable struct {
	spool.Store
	mu     sync.Mutex
	tries  int
	mended bool
}

// mend returns how often it was read before.
func (u *unreadable) mend() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mended = true
	return u.tries
}

func (u *unreadable) HeldGroups(ctx context.Context) ([]spool.Group, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tries++; !u.mended {
		return nil, errors.New("no")
	}
	return u.Store.HeldGroups(ctx)
}
