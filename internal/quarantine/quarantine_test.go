package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// world is a quarantine over a real store, with a gate and an MTA made up.
type world struct {
	*Quarantine
	store *store.Store
	judge *fakeJudge
	mta   *fakeMTA
	later time.Duration // the clock is ahead by it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "mailgate.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{store: s, judge: &fakeJudge{verdicts: map[mail.Domain]gate.Recipient{}}, mta: &fakeMTA{}}
	w.Quarantine = New(s, Options{
		Judge:    func() Judge { return w.judge },
		Injector: w.mta,
		Policy:   func() Policy { return Policy{AutoRelease: true} },
		Now:      func() time.Time { return time.Now().Add(w.later) },
	})
	w.mta.redeem = w.Redeem
	return w
}

// fakeJudge judges by recipient domain; what it doesn't know passes.
type fakeJudge struct {
	verdicts map[mail.Domain]gate.Recipient
	afresh   int
}

func (j *fakeJudge) refuse(d mail.Domain) {
	j.verdicts[d] = gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused,
		Prediction: preflight.Prediction{Verdict: preflight.Refuse, Why: "no key is published", Codes: []string{"dkim-missing"}}}
}

func (j *fakeJudge) keepWaiting(d mail.Domain) {
	j.verdicts[d] = gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseWaiting,
		Prediction: preflight.Prediction{Verdict: preflight.UnknownVerdict, Why: "DNS is silent", Codes: []string{"dns-unreachable"}}}
}

func (j *fakeJudge) Judge(_ context.Context, _ mail.Domain, _ mail.Address, to []mail.Address) gate.Verdict {
	var v gate.Verdict
	for _, a := range to {
		r, ok := j.verdicts[a.Domain]
		if !ok {
			r.Disposition = gate.Pass
		}
		r.Address = a
		v.Recipients = append(v.Recipients, r)
	}
	return v
}

func (j *fakeJudge) JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict {
	j.afresh++
	return j.Judge(ctx, from, sender, to)
}

// fakeMTA takes everything, unless told otherwise, and redeems tokens as the
// milter does.
type fakeMTA struct {
	mu     sync.Mutex
	redeem func(context.Context, string) (string, bool, error)
	away   error            // takes nothing
	refuse map[string]error // by recipient
	got    []string         // "recipient: content"
	during func()           // called while the message is under way
}

func (m *fakeMTA) Inject(ctx context.Context, msg *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	if m.during != nil {
		m.during()
	}
	if m.away != nil {
		return nil, m.away
	}
	id, ok, err := m.redeem(ctx, token)
	if err != nil || !ok || id != msg.ID {
		return nil, fmt.Errorf("token of %s redeemed as %q, %v, %w", msg.ID, id, ok, err)
	}
	if _, again, _ := m.redeem(ctx, token); again {
		return nil, errors.New("a token worked twice")
	}
	data, err := io.ReadAll(content)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("broken off: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var results []spool.Handover
	for _, a := range to {
		h := spool.Handover{Recipient: a, Err: m.refuse[a.String()]}
		if h.Err == nil {
			h.Answer = "2.0.0 queued as 4F2A"
			m.got = append(m.got, a.String()+": "+string(data))
		}
		results = append(results, h)
	}
	return results, nil
}

func path(t *testing.T, s string) mail.Address {
	t.Helper()
	a, err := mail.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// hold takes a message into custody.
func (w *world) hold(t *testing.T, content string, to ...string) string {
	t.Helper()
	m := &spool.Message{Source: "milter", From: path(t, "ann@example.com"), Envelope: mail.Envelope{From: path(t, "ann@example.com")}}
	for _, s := range to {
		a := path(t, s)
		m.Envelope.To = append(m.Envelope.To, a)
		m.Recipients = append(m.Recipients, spool.Recipient{Address: a, State: spool.Held, Reason: spool.Refused})
	}
	if err := w.store.Take(t.Context(), m, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// states is the state of every recipient, joined.
func (w *world) states(t *testing.T, id string) string {
	t.Helper()
	m, err := w.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range m.Recipients {
		list = append(list, string(r.State))
	}
	return strings.Join(list, " ")
}

func (w *world) actions(t *testing.T, id string) string {
	t.Helper()
	log, err := w.store.Log(t.Context(), spool.LogFilter{ID: id, OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range log {
		list = append(list, string(e.Action))
	}
	return strings.Join(list, " ")
}

func TestRecheckReleasesWhatPasses(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	first := w.hold(t, "one", "b@gmail.com", "c@other.example")
	second := w.hold(t, "two", "b@gmail.com")

	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || sum.Messages != 2 || sum.Released != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, first) + ", " + w.states(t, second); got != "held delivered, held" {
		t.Fatal(got)
	}
	delete(w.judge.verdicts, "gmail.com") // DNS is mended
	if sum, err = w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil || sum.Released != 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
	want := []string{"c@other.example: one", "b@gmail.com: one", "b@gmail.com: two"} // oldest first
	if fmt.Sprint(w.mta.got) != fmt.Sprint(want) {
		t.Errorf("the MTA got %q", w.mta.got)
	}
	if got := w.actions(t, second); got != "hold assess release deliver" {
		t.Errorf("log: %s", got)
	}
	if w.judge.afresh != 2 {
		t.Errorf("DNS asked afresh %d times, want once for the identity at each re-check", w.judge.afresh)
	}
}

func TestWithoutAutoReleaseNothingLeaves(t *testing.T) {
	w := newWorld(t)
	w.o.Policy = func() Policy { return Policy{} }
	id := w.hold(t, "one", "b@gmail.com")
	if sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil || sum.Released != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, id); got != "held" {
		t.Error(got)
	}
}

func TestRecheckTellsWaitingFromRefused(t *testing.T) {
	w := newWorld(t)
	w.judge.keepWaiting("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	counts, err := w.Counts(t.Context())
	if err != nil || counts.Waiting != 1 || counts.Refused != 0 {
		t.Fatalf("%+v, %v", counts, err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, id); got != "hold assess" {
		t.Errorf("log: %s; an unchanged verdict is not news", got)
	}
}

func TestMTAAway(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	w.mta.away = errors.New("connection refused")
	sum, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || sum.Failed != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := w.states(t, id); got != "held" {
		t.Fatal(got)
	}
	w.mta.away = nil
	w.later = 2 * time.Minute
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, id); got != "hold release requeue release deliver" {
		t.Errorf("log: %s", got)
	}
}

func TestMTARefusesOne(t *testing.T) {
	w := newWorld(t)
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("550 no such user")}
	id := w.hold(t, "one", "b@gmail.com", "c@other.example")
	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"})
	if err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("error %v", err)
	}
	if got := w.states(t, id); got != "held delivered" {
		t.Error(got)
	}
}

func TestReleaseByHand(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com", "c@other.example")

	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"})
	if !errors.Is(err, ErrWouldBeRefused) || w.states(t, id) != "held held" {
		t.Fatalf("%v, %s", err, w.states(t, id))
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"c@other.example"}, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"c@other.example"}, Actor: "bob", Reason: "test"}); !errors.Is(err, ErrConflict) {
		t.Fatalf("released twice: %v", err)
	}
	released, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "they know", Anyway: true})
	if err != nil || len(released.Recipients) != 1 || released.Recipients[0].Answer != "2.0.0 queued as 4F2A" {
		t.Fatalf("%+v, %v", released, err)
	}
	if got := w.states(t, id); got != "delivered delivered" {
		t.Error(got)
	}
}

// Whoever moves a message first has it; the other is told.
func TestTwoReviewers(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	w.mta.during = func() {
		w.mta.during = nil
		if err := w.Discard(t.Context(), Request{ID: id, Actor: "bob", Reason: "spam"}); !errors.Is(err, ErrConflict) {
			t.Errorf("discard during a release: %v", err)
		}
		if _, err := w.Release(t.Context(), Request{ID: id, Actor: "bob", Reason: "x"}); !errors.Is(err, ErrConflict) {
			t.Errorf("release during a release: %v", err)
		}
	}
	if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if len(w.mta.got) != 1 {
		t.Errorf("sent %d times", len(w.mta.got))
	}
}

func TestDiscard(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if w.states(t, id) != "discarded" || len(w.mta.got) != 0 {
		t.Errorf("%s, sent %d", w.states(t, id), len(w.mta.got))
	}
	if err := w.Discard(t.Context(), Request{ID: "zzzzz", Actor: "ann", Reason: "spam"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

// A stop between release and delivery: the message is held again and goes out at
// the next re-check.
func TestInterruptedReleaseIsResumed(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.store.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Queued, Actor: "recheck"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.states(t, id); got != "held" {
		t.Fatal(got)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.states(t, id); got != "delivered" {
		t.Error(got)
	}
}

func TestForgedToken(t *testing.T) {
	w := newWorld(t)
	if id, ok, err := w.Redeem(t.Context(), "nonsense"); ok || err != nil {
		t.Errorf("%q, %v, %v", id, ok, err)
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	for _, q := range []Query{{States: []string{"lost"}}, {Domain: "a b"}, {Limit: -1}, {Reason: "bogus"}, {Code: "bogus"}, {Provider: "gogle"}, {Limit: MaxPage + 1}} {
		if _, err := w.List(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	w.judge.refuse("gmail.com")
	var ids []string
	for range 3 {
		ids = append(ids, w.hold(t, "one", "b@gmail.com"))
	}
	page, err := w.List(t.Context(), Query{Limit: 2})
	if err != nil || len(page.Messages) != 2 || page.Messages[0].ID != ids[2] || page.Next != ids[1] {
		t.Fatalf("%+v, %v", page, err)
	}
	if m := page.Messages[0]; m.Now != "refuse" || m.Why != "no key is published" {
		t.Errorf("now %q: %q", m.Now, m.Why)
	}
	if page, err = w.List(t.Context(), Query{Limit: 2, After: page.Next}); err != nil || len(page.Messages) != 1 || page.Next != "" {
		t.Fatalf("second page %+v, %v", page, err)
	}
}

// Whoever asked for a release may go away: once the next server has it, it is
// recorded, and not sent again.
func TestCancelledReleaseGoesOn(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	ctx, cancel := context.WithCancel(t.Context())
	w.mta.during = cancel
	if _, err := w.Release(ctx, Request{ID: id, Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if w.states(t, id) != "delivered" || len(w.mta.got) != 1 {
		t.Errorf("%s, sent %d times", w.states(t, id), len(w.mta.got))
	}
}

// One message the next server never takes doesn't keep the others, and isn't tried
// at every re-check.
func TestRefusedMessageDoesNotBlock(t *testing.T) {
	w := newWorld(t)
	bad, good := w.hold(t, "one", "b@gmail.com"), w.hold(t, "two", "c@gmail.com")
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("552 too large")}
	for range 3 {
		if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.states(t, bad) + ", " + w.states(t, good); got != "held, delivered" {
		t.Error(got)
	}
	if got := w.actions(t, bad); got != "hold release requeue" {
		t.Errorf("log: %s; want one try", got)
	}
	w.later = 2 * time.Minute
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.actions(t, bad); got != "hold release requeue release requeue" {
		t.Errorf("log: %s; want another try after a while", got)
	}
}

func TestPatience(t *testing.T) {
	var p patience
	now := time.Now()
	var waits []string
	for range 6 {
		waits = append(waits, p.failed("a", now).String())
	}
	if got := strings.Join(waits, " "); got != "1m0s 2m0s 4m0s 8m0s 15m0s 15m0s" {
		t.Error(got)
	}
	if !p.tooEarly("a", now.Add(time.Minute)) || p.tooEarly("a", now.Add(time.Hour)) || p.tooEarly("b", now) {
		t.Error("waits for the wrong one, or for too long")
	}
}

// The review log tells a release against the verdict from others.
func TestAnywayIsLogged(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "they know", Anyway: true}); err != nil {
		t.Fatal(err)
	}
	d, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if e := d.Log[1]; e.Verdict != "refuse" || e.Reason != "anyway: they know" || fmt.Sprint(e.Codes) != "[dkim-missing]" {
		t.Errorf("%+v", e)
	}
}

func TestWaitingIsNotRefused(t *testing.T) {
	w := newWorld(t)
	w.judge.keepWaiting("gmail.com")
	id := w.hold(t, "one", "b@gmail.com")
	_, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"})
	if !errors.Is(err, ErrWaiting) || errors.Is(err, ErrWouldBeRefused) {
		t.Error(err)
	}
	if _, err := w.Release(t.Context(), Request{ID: id, To: []string{"zed@gmail.com"}, Reason: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a recipient it never had: %v", err)
	}
}

// A list shows today's finding, not the one of the day it was held.
func TestChangedFindingIsStored(t *testing.T) {
	w := newWorld(t)
	w.judge.refuse("gmail.com")
	id := w.hold(t, "one", "b@gmail.com") // held without a code
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	page, err := w.List(t.Context(), Query{Code: "dkim-missing"})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].ID != id {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestOldBodiesGo(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	w.purge(t.Context())
	if _, err := w.Raw(t.Context(), id); err != nil {
		t.Fatalf("gone at once: %v", err)
	}
	w.later = keepBodies + time.Hour
	w.purge(t.Context())
	if _, err := w.Raw(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
}

// A stop waits for the release under way and begins no other.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	first, second := w.hold(t, "one", "b@gmail.com"), w.hold(t, "two", "c@gmail.com")
	drained := make(chan struct{})
	w.mta.during = func() {
		w.mta.during = nil
		go func() {
			w.Drain(time.Minute)
			close(drained)
		}()
		for w.releases.begin() { // until the drain has begun
			w.releases.done()
			time.Sleep(time.Millisecond)
		}
		select {
		case <-drained:
			t.Error("the drain didn't wait for the release under way")
		default:
		}
	}
	if _, err := w.Release(t.Context(), Request{ID: first, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	<-drained
	if _, err := w.Release(t.Context(), Request{ID: second, Actor: "ann", Reason: "x"}); !errors.Is(err, ErrStopping) {
		t.Errorf("released while stopping: %v", err)
	}
	if got := w.states(t, first) + ", " + w.states(t, second); got != "delivered, held" {
		t.Error(got)
	}
}
