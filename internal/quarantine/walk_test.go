package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// counted counts what the store is asked.
type counted struct {
	spool.Store
	gets, pages, moves atomic.Int64
}

func (c *counted) Get(ctx context.Context, id string) (*spool.Message, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, id)
}

func (c *counted) GroupIDs(ctx context.Context, g spool.GroupKey, after string, limit int) ([]string, error) {
	c.pages.Add(1)
	return c.Store.GroupIDs(ctx, g, after, limit)
}

func (c *counted) Move(ctx context.Context, m spool.Move) error {
	c.moves.Add(1)
	return c.Store.Move(ctx, m)
}

// count puts a counter between the quarantine and its store.
func (w *world) count() *counted {
	c := &counted{Store: w.store}
	w.Quarantine = New(c, w.o)
	w.mta.redeem = w.Redeem
	return c
}

// holdMany takes n messages at the same time, so that the store commits them
// together.
func (w *world) holdMany(t *testing.T, n int, to ...string) {
	t.Helper()
	var all errgroup.Group
	all.SetLimit(64)
	for range n {
		all.Go(func() error {
			w.hold(t, "one", to...)
			return nil
		})
	}
	_ = all.Wait()
}

// However much is held for one cause, as long as the cause stays one check decides.
func TestOneCheckForAll(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	w.holdMany(t, groupPage+20, "b@gmail.com", "c@gmail.com")
	w.judge.refuse("gmail.com")
	w.turn(t) // brings the verdicts up to date
	if page, err := w.List(t.Context(), Query{Code: "dkim-missing", Limit: MaxPage}); err != nil || len(page.Messages) != groupPage+20 {
		t.Fatalf("%d messages, %v", len(page.Messages), err)
	}
	c.gets.Store(0)
	c.pages.Store(0)
	c.moves.Store(0)
	w.judge.afresh, w.judge.memory = 0, 0
	if sum := w.turn(t); sum.Refused != 2*(groupPage+20) || sum.Recipients != sum.Refused {
		t.Errorf("%+v", sum)
	}
	if w.judge.afresh != 1 || w.judge.memory != 0 || c.gets.Load() != 1 || c.pages.Load() != 1 || c.moves.Load() != 0 {
		t.Errorf("judged afresh %d times, from memory %d; %d messages and %d pages read, %d moves",
			w.judge.afresh, w.judge.memory, c.gets.Load(), c.pages.Load(), c.moves.Load())
	}
}

// DNS is asked once for an identity, however many causes its mail is held for.
func TestOneQuestionForAllCauses(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	w.judge.keepWaiting("other.example")
	w.hold(t, "one", "b@gmail.com", "c@other.example")
	w.turn(t)
	w.judge.afresh = 0
	if sum := w.turn(t); sum.Refused != 1 || sum.Waiting != 1 || w.judge.afresh != 1 {
		t.Errorf("%+v, asked %d times", sum, w.judge.afresh)
	}
}

// What is held with the provider not known is judged one by one.
func TestUnknownProvider(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("silent.example") // first, and as before
	w.hold(t, "one", "a@silent.example")
	w.turn(t)
	var ids []string
	for _, d := range []string{"silent.example", "silent.example", "silent.example"} {
		ids = append(ids, w.hold(t, "one", "b@"+d))
	}
	other := w.holdAs(t, "b@mended.example", preflight.UnknownProvider)
	if sum := w.turn(t); sum.Refused != 4 || sum.Passing != 1 || sum.Released != 1 {
		t.Errorf("%+v", sum)
	}
	if got := w.states(t, other) + " " + w.states(t, ids[2]); got != "delivered held" {
		t.Error(got)
	}
}

// A provider that DNS tells now is taken down, and stays when DNS is silent again.
func TestProviderIsLearned(t *testing.T) {
	w := newWorld(t)
	id := w.holdAs(t, "a@gmail.com", preflight.UnknownProvider)
	provider := func() string {
		t.Helper()
		if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
			t.Fatal(err)
		}
		m, err := w.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return m.Recipients[0].Provider
	}
	r := gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused, Prediction: preflight.Prediction{
		Provider: preflight.Google, Verdict: preflight.Refuse, Codes: []string{"dkim-missing"}}}
	w.judge.set("gmail.com", r)
	if got := provider(); got != string(preflight.Google) {
		t.Errorf("provider %q after DNS told it", got)
	}
	r.Prediction.Provider, r.Prediction.Codes = preflight.UnknownProvider, []string{"dns-unreachable"}
	w.judge.set("gmail.com", r)
	if got := provider(); got != string(preflight.Google) {
		t.Errorf("provider %q after DNS fell silent", got)
	}
}

// A domain that moved to another provider speaks for itself alone.
func TestProviderMoved(t *testing.T) {
	w := newWorld(t)
	moved := gate.Recipient{Disposition: gate.Pass, Prediction: preflight.Prediction{Provider: preflight.Other}}
	w.judge.set("moved.example", moved)
	w.judge.set("gmail.com", gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused,
		Prediction: preflight.Prediction{Provider: preflight.Google, Verdict: preflight.Refuse}})
	first := w.holdAs(t, "b@moved.example", preflight.Google)
	second := w.hold(t, "one", "b@gmail.com")
	if sum := w.turn(t); sum.Passing != 1 || sum.Refused != 1 || sum.Released != 1 {
		t.Errorf("%+v", sum)
	}
	if got := w.states(t, first) + " " + w.states(t, second); got != "delivered held" {
		t.Error(got)
	}
}

// Each message is judged again just before it is sent.
func TestJudgedBeforeSent(t *testing.T) {
	w := newWorld(t)
	first, second := w.hold(t, "one", "b@gmail.com"), w.hold(t, "two", "b@gmail.com")
	w.mta.during = func() { w.judge.refuse("gmail.com") }
	w.turn(t)
	if got := w.states(t, first) + " " + w.states(t, second); got != "delivered held" {
		t.Error(got)
	}
}

// While the next server is away, an identity costs it one try.
func TestAwayEndsTheWalk(t *testing.T) {
	w := newWorld(t)
	w.hold(t, "one", "b@gmail.com")
	second := w.hold(t, "two", "b@gmail.com", "c@other.example")
	w.mta.away = errors.New("connection refused")
	if sum := w.turn(t); sum.Failed != 1 || sum.Released != 0 {
		t.Errorf("%+v", sum)
	}
	if got := w.actions(t, second); got != "hold hold" {
		t.Error(got)
	}
}

// Two re-checks at once send nothing twice.
func TestRechecksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.holdMany(t, 20, "b@gmail.com")
	var all errgroup.Group
	for range 4 {
		all.Go(func() error {
			_, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if w.mta.took() != 20 {
		t.Errorf("sent %d times, want 20", w.mta.took())
	}
}

func TestRecheckRequests(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	ids := map[string]string{}
	for _, from := range []string{"ann@example.com", "bob@example.com", "ann@sub.example.com", "eve@other.example"} {
		ids[from] = w.holdFrom(t, from, "b@gmail.com")
	}
	for _, c := range []struct {
		request RecheckRequest
		want    int
		err     error
	}{
		{RecheckRequest{}, 3, nil},
		{RecheckRequest{IDs: []string{ids["bob@example.com"]}}, 1, nil},
		{RecheckRequest{IDs: []string{ids["bob@example.com"], ids["ann@example.com"], ids["eve@other.example"]}}, 2, nil},
		{RecheckRequest{IDs: []string{ids["bob@example.com"], "zzzzz"}}, 0, ErrNotFound},
		{RecheckRequest{Domain: "Example.COM"}, 1, nil},
		{RecheckRequest{Domain: "nobody.example"}, 0, nil},
		{RecheckRequest{IDs: []string{"zzzzz"}}, 0, ErrNotFound},
		{RecheckRequest{Domain: "a b"}, 0, ErrQuery},
		{RecheckRequest{IDs: []string{ids["bob@example.com"]}, Domain: "example.com"}, 0, ErrQuery},
	} {
		before := w.judge.afresh
		var last Rechecked
		sum, err := w.Recheck(t.Context(), c.request, func(r Rechecked) {
			if r.Done < last.Done || r.Recipients < last.Recipients {
				t.Errorf("%+v after %+v", r, last)
			}
			last = r
		})
		if !errors.Is(err, c.err) || sum.Identities != c.want || sum.Done != c.want || w.judge.afresh-before != c.want {
			t.Errorf("%+v: %+v, %v, asked %d times; want %d", c.request, sum, err, w.judge.afresh-before, c.want)
		}
		if err == nil && last != sum {
			t.Errorf("%+v: progress ended with %+v, not %+v", c.request, last, sum)
		}
	}
}

// Whoever asked for progress and doesn't read it holds up nothing.
func TestNobodyReadsProgress(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	reads, sent := make(chan struct{}), make(chan struct{})
	w.mta.during = func() { close(sent) }
	ended := make(chan error)
	go func() {
		_, err := w.Recheck(t.Context(), RecheckRequest{}, func(Rechecked) { <-reads })
		ended <- err
	}()
	<-sent
	close(reads)
	if err := <-ended; err != nil || w.states(t, id) != "delivered" {
		t.Errorf("%v, %s", err, w.states(t, id))
	}
}

func (w *world) holdAs(t *testing.T, to string, p preflight.Provider) string {
	t.Helper()
	a := path(t, to)
	m := &spool.Message{Source: "milter", From: path(t, "ann@example.com"), Envelope: mail.Envelope{From: path(t, "ann@example.com"), To: []mail.Address{a}},
		Recipients: []spool.Recipient{{Address: a, State: spool.Held, Reason: spool.Refused, Provider: string(p)}}}
	if err := w.store.Take(t.Context(), m, strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// A list names the verdict of the last check, and asks nobody.
func TestListAsksNobody(t *testing.T) {
	w := newWorld(t)
	w.judge.keepWaiting("gmail.com")
	w.hold(t, "one", "b@gmail.com")
	for _, want := range []string{"refuse", "unknown: DNS is silent", "pass"} {
		page, err := w.List(t.Context(), Query{})
		if err != nil || len(page.Messages) != 1 {
			t.Fatalf("%+v, %v", page, err)
		}
		m := page.Messages[0]
		if got := strings.TrimSuffix(fmt.Sprintf("%s: %s", m.Now, m.Why), ": "); got != want || m.Checked.IsZero() {
			t.Errorf("%q, checked %v; want %q", got, m.Checked, want)
		}
		if want != "refuse" {
			w.judge.pass("gmail.com")
			w.policy.AutoRelease = false
		}
		w.turn(t)
	}
	w.judge.afresh, w.judge.memory = 0, 0
	if _, err := w.List(t.Context(), Query{}); err != nil || w.judge.afresh+w.judge.memory > 0 {
		t.Errorf("a list judges: %v", err)
	}
}

// What is known of groups that are gone is forgotten.
func TestKnownIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.judge.refuseAs("gmail.com", fmt.Sprintf("dkim-%d", i), "x")
		if i == 0 {
			w.hold(t, "one", "b@gmail.com")
		}
		w.turn(t)
		if !w.readGroups(t.Context(), w.o.Now(), 0, false) {
			t.Fatal("not read")
		}
		if len(w.known.of) != 1 {
			t.Errorf("%d groups known, want 1: %v", len(w.known.of), w.known.of)
		}
	}
}
