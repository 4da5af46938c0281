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
	store  *store.Store
	judge  *fakeJudge
	mta    *fakeMTA
	mu     sync.Mutex // of policy, while Run runs
	policy Policy
	later  time.Duration // the clock is ahead of the store's by it
}

// newWorld is a world in which time goes by only with later.
func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Now()
	return newWorldAt(t, func() time.Time { return now })
}

// newWorldAt is a world with a clock, such as that of a synctest.
func newWorldAt(t *testing.T, now func() time.Time) *world {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "mailgate.db"), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{store: s, judge: &fakeJudge{verdicts: map[mail.Domain]gate.Recipient{}}, mta: &fakeMTA{}, policy: Policy{AutoRelease: true}}
	w.Quarantine = New(s, Options{
		Judge:    func() Judge { return w.judge },
		Injector: w.mta,
		Policy: func() Policy {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.policy
		},
		Now: func() time.Time { return now().Add(w.later) },
	})
	w.mta.redeem = w.Redeem
	return w
}

// fakeJudge judges by recipient domain; what it doesn't know passes.
type fakeJudge struct {
	mu       sync.Mutex
	verdicts map[mail.Domain]gate.Recipient
	slow     map[mail.Domain]time.Duration // by From domain: how long DNS takes
	afresh   int                           // how often DNS was asked
	memory   int                           // how often it was not
	now      int                           // judgements under way
	most     int                           // at the same time
	during   func()                        // called while DNS is asked
	ask      func(context.Context)         // asks DNS; nil: it isn't
}

func (j *fakeJudge) refuse(d mail.Domain) { j.refuseAs(d, "dkim-missing", "no key is published") }

func (j *fakeJudge) refuseAs(d mail.Domain, code, why string) {
	j.set(d, gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused,
		Prediction: preflight.Prediction{Verdict: preflight.Refuse, Why: why, Codes: []string{code}}})
}

func (j *fakeJudge) keepWaiting(d mail.Domain) {
	j.set(d, gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseWaiting,
		Prediction: preflight.Prediction{Verdict: preflight.UnknownVerdict, Why: "DNS is silent", Codes: []string{"dns-unreachable"}}})
}

// accepted is a verdict of the gate on what passes.
var accepted = gate.Recipient{Disposition: gate.Pass, Prediction: preflight.Prediction{Verdict: preflight.Accept}}

func (j *fakeJudge) pass(d mail.Domain) { j.set(d, gate.Recipient{Disposition: gate.Pass}) }

func (j *fakeJudge) set(d mail.Domain, r gate.Recipient) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.verdicts[d] = r
}

// asked is how often DNS was asked.
func (j *fakeJudge) asked() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.afresh
}

func (j *fakeJudge) Judge(_ context.Context, _ mail.Domain, _ mail.Address, to []mail.Address) gate.Verdict {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory++
	return j.judge(to)
}

func (j *fakeJudge) judge(to []mail.Address) (v gate.Verdict) {
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

func (j *fakeJudge) JudgeAfresh(ctx context.Context, from mail.Domain, _ mail.Address, to []mail.Address) gate.Verdict {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.afresh++
	j.now++
	j.most = max(j.most, j.now)
	if wait := j.slow[from]; wait > 0 {
		j.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		j.mu.Lock()
	}
	if during := j.during; during != nil {
		j.mu.Unlock()
		during()
		j.mu.Lock()
	}
	if j.ask != nil {
		j.ask(ctx)
	}
	j.now--
	return j.judge(to)
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
		if h.Err != nil {
			h.Reply = h.Err.Error()
		} else {
			h.Answer = "2.0.0 queued as 4F2A"
			m.got = append(m.got, a.String()+": "+string(data))
		}
		results = append(results, h)
	}
	return results, nil
}

// took is how many copies it got.
func (m *fakeMTA) took() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
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
	return w.take(t, "ann@example.com", content, to...)
}

func (w *world) holdFrom(t *testing.T, from string, to ...string) string {
	t.Helper()
	return w.take(t, from, "one", to...)
}

func (w *world) take(t *testing.T, from, content string, to ...string) string {
	t.Helper()
	m := &spool.Message{Source: "milter", From: path(t, from), Envelope: mail.Envelope{From: path(t, from)}}
	for _, s := range to {
		a := path(t, s)
		m.Envelope.To = append(m.Envelope.To, a)
		m.Recipients = append(m.Recipients, spool.Recipient{Address: a, State: spool.Held, Reason: spool.Refused, Provider: providerOf(a.Domain)})
	}
	if err := w.store.Take(t.Context(), m, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// providerOf is the provider in the world of the tests.
func providerOf(d mail.Domain) string {
	switch d {
	case "gmail.com":
		return string(preflight.Google)
	case "silent.example":
		return string(preflight.UnknownProvider)
	}
	return string(preflight.Other)
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

// turn checks everything as the schedule does when it is due.
func (w *world) turn(t *testing.T) Rechecked {
	t.Helper()
	groups, err := w.store.HeldGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var s sum
	order, of := byIdentity(groups)
	for _, id := range order {
		if err := w.check(t.Context(), id, of[id], true, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s.get()
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
