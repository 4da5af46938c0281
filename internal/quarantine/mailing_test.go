package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// postman is an MTA that takes notices and redeems their tokens as the milter does.
type postman struct {
	w      *world
	away   error
	never  map[string]bool // refuses mail for it for good
	notNow map[string]bool
	got    []string // "recipient: content"
	tried  int
	during func()
}

func (p *postman) Inject(ctx context.Context, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	p.tried++
	if p.during != nil {
		p.during()
	}
	if p.away != nil {
		return nil, p.away
	}
	if m.Source != "notice" {
		return p.w.mta.Inject(ctx, m, to, token, content)
	}
	if id, ok, err := p.w.Redeem(ctx, token); id != "" || !ok || err != nil {
		return nil, fmt.Errorf("token of a notice redeemed as %q, %v, %w", id, ok, err)
	}
	if !m.Envelope.From.IsNull() || len(to) != 1 || m.Received.IsZero() {
		return nil, fmt.Errorf("envelope %+v", m.Envelope)
	}
	h := spool.Handover{Recipient: to[0], Answer: "2.0.0 queued as 4F2B"}
	switch {
	case p.never[to[0].String()]:
		h = spool.Handover{Recipient: to[0], Err: errors.New("550 no such user"), Permanent: true}
	case p.notNow[to[0].String()]:
		h = spool.Handover{Recipient: to[0], Err: errors.New("450 busy")}
	default:
		data, err := io.ReadAll(content)
		if err != nil {
			return nil, err
		}
		p.got = append(p.got, to[0].String()+": "+string(data))
	}
	return []spool.Handover{h}, nil
}

// newPost is a world where what is held for gmail.com would be refused.
func newPost(t *testing.T) (*world, *postman) {
	w := newWorld(t)
	p := &postman{w: w, never: map[string]bool{}, notNow: map[string]bool{}}
	w.o.Injector = p
	w.policy.Hostname = "mx1.example.com"
	w.judge.refuse("gmail.com")
	return w, p
}

// holdBy takes a message of any sender into custody.
func (w *world) holdBy(t *testing.T, sender string, to ...string) string {
	t.Helper()
	m := &spool.Message{
		Source: "milter", From: path(t, "ann@example.com"), Envelope: mail.Envelope{From: path(t, sender)},
		Subject: "Quarterly figures", MessageID: "<q4@example.com>",
	}
	for _, s := range to {
		m.Envelope.To = append(m.Envelope.To, path(t, s))
		m.Recipients = append(m.Recipients, spool.Recipient{Address: path(t, s), State: spool.Held, Reason: spool.Refused, Codes: []string{"dkim-missing"}})
	}
	content := "From: ann@example.com\r\nX-Mine: yes\r\n\r\nthe body\r\n"
	if err := w.store.Take(t.Context(), m, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// wantMail checks for whom there was mail, and that the last one says some words.
func (p *postman) wantMail(t *testing.T, to string, words ...string) {
	t.Helper()
	var list []string
	for _, m := range p.got {
		address, _, _ := strings.Cut(m, ": ")
		list = append(list, address)
	}
	if got := strings.Join(list, " "); got != to {
		t.Fatalf("mail for %q, want %q", got, to)
	}
	for _, word := range words {
		if last := p.got[len(p.got)-1]; !strings.Contains(strings.Join(strings.Fields(last), " "), strings.TrimSpace(word)) {
			t.Errorf("nothing of %q in\n%s", word, last)
		}
	}
}

func TestNotice(t *testing.T) {
	w, p := newPost(t)
	w.policy.NotifyAfter, w.policy.MaxAge = 4*time.Hour, 5*24*time.Hour
	id := w.holdBy(t, "ann@example.com", "b@gmail.com", "c@gmail.com")
	null := w.holdBy(t, "", "b@gmail.com")
	w.notices(t.Context())
	p.wantMail(t, "")
	if sent, err := w.notifyOne(t.Context(), null); sent || err != nil || p.tried != 0 {
		t.Errorf("to the null sender: %v, %v", sent, err)
	}
	w.later = 5 * time.Hour
	for range 3 {
		w.notices(t.Context())
	}
	p.wantMail(t, "ann@example.com", "Action: delayed", "Will-Retry-Until: ", "c@gmail.com", "X-Mine: yes", "no key is published", "In-Reply-To: <q4@example.com>")
	if got := w.actions(t, id); got != "hold hold notify notify" {
		t.Errorf("log: %s", got)
	}
	log, err := w.store.Log(t.Context(), spool.LogFilter{ID: id})
	if err != nil || log[0].Where != "2.0.0 queued as 4F2B" || log[0].Actor != "notify_after" {
		t.Errorf("%+v, %v", log[0], err)
	}
	if strings.Contains(p.got[0], "the body") {
		t.Error("the body is in the report")
	}
}

func TestNoNoticeUnlessWanted(t *testing.T) {
	w, p := newPost(t)
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.later = 1000 * time.Hour
	w.notices(t.Context())
	w.expire(t.Context())
	w.digest(t.Context())
	w.policy.NotifyAfter, w.policy.MaxAge = time.Hour, 900*time.Hour
	w.notices(t.Context()) // its return is due
	p.wantMail(t, "")
}

// After a restore nothing is sent or told by itself, with the settings that
// docs/operations.md names.
func TestNothingByItself(t *testing.T) {
	w, p := newPost(t)
	w.policy.Postmaster = path(t, "postmaster@example.com")
	w.policy.AutoRelease, w.policy.MaxAge, w.policy.NotifyAfter, w.policy.Digest = false, 0, 0, 0
	id := w.holdBy(t, "ann@example.com", "b@gmail.com", "c@other.example")
	w.later = 1000 * time.Hour
	w.turn(t)
	w.notices(t.Context())
	w.expire(t.Context())
	w.digest(t.Context())
	if got := w.states(t, id); got != "held held" || p.tried != 0 {
		t.Errorf("%s, %d tries", got, p.tried)
	}
}

func TestNoticeRefused(t *testing.T) {
	w, p := newPost(t)
	w.policy.NotifyAfter = time.Hour
	w.later = 0
	refused := w.holdBy(t, "gone@example.com", "b@gmail.com")
	busy := w.holdBy(t, "busy@example.com", "b@gmail.com")
	w.holdBy(t, "ann@example.com", "b@gmail.com")
	p.never["gone@example.com"], p.notNow["busy@example.com"] = true, true
	w.later = 2 * time.Hour
	w.notices(t.Context())
	w.notices(t.Context())
	p.wantMail(t, "ann@example.com")
	if got := w.actions(t, refused) + ", " + w.actions(t, busy); got != "hold notify, hold" || p.tried != 3 {
		t.Errorf("%s; %d tries", got, p.tried)
	}
	p.notNow = nil
	w.later += 2 * time.Minute
	w.notices(t.Context())
	p.wantMail(t, "ann@example.com busy@example.com")
}

// Where the next server gives no answer, it isn't asked about each message.
func TestNoWay(t *testing.T) {
	w, p := newPost(t)
	w.policy.NotifyAfter, w.policy.MaxAge, w.policy.Digest, w.policy.Postmaster = time.Hour, 3*time.Hour, time.Hour, path(t, "postmaster@example.com")
	w.digest(t.Context())
	first, second := w.holdBy(t, "ann@example.com", "b@gmail.com"), w.holdBy(t, "ben@example.com", "b@gmail.com")
	w.later = 2 * time.Hour
	p.away = errors.New("connection refused")
	w.notices(t.Context())
	w.notices(t.Context())
	w.expire(t.Context())
	w.digest(t.Context())
	if p.tried != 1 {
		t.Errorf("%d tries, want one", p.tried)
	}
	w.later += 2 * time.Hour
	p.away, p.tried = nil, 0
	w.expire(t.Context())
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com ben@example.com")
	if got := w.states(t, first) + " " + w.states(t, second); got != "bounced bounced" {
		t.Error(got)
	}
}

func TestReturn(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge = 5 * 24 * time.Hour
	w.judge.verdicts["gmail.com"] = gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused, Prediction: preflight.Prediction{
		Verdict: preflight.Refuse, Why: "no key is published", Codes: []string{"dkim-missing"}, Reply: "550 5.7.26 Unauthenticated.",
	}}
	id := w.holdBy(t, "ann@example.com", "b@gmail.com", "c@other.example", "d@gmail.com")
	w.expire(t.Context())
	p.wantMail(t, "")
	w.later = 6 * 24 * time.Hour
	w.expire(t.Context())
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com", "Action: failed", "Status: 5.7.26", "predicted reply: 550 5.7.26 Unauthenticated.", "d@gmail.com", "X-Mine: yes")
	if got := w.states(t, id); got != "bounced held bounced" || strings.Contains(p.got[0], "c@other.example") {
		t.Errorf("%s\n%s", got, p.got[0])
	}
	log, err := w.store.Log(t.Context(), spool.LogFilter{ID: id})
	if e := log[0]; err != nil || e.Actor != "max_age" || e.Action != spool.ActionBounce || e.Where != "2.0.0 queued as 4F2B" {
		t.Errorf("%+v, %v", e, err)
	}
	w.turn(t) // what would pass leaves
	if got := w.states(t, id); got != "bounced delivered bounced" {
		t.Error(got)
	}
}

func TestWithoutAutoReleaseAllIsReturned(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge, w.policy.AutoRelease = time.Hour, false
	id := w.holdBy(t, "ann@example.com", "c@other.example")
	w.later = 2 * time.Hour
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com", "Status: 5.4.7", "waited for a release")
	if got := w.states(t, id); got != "bounced" {
		t.Error(got)
	}
}

func TestReturnOfTheNullSender(t *testing.T) {
	w, p := newPost(t)
	var log bytes.Buffer
	w.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	w.policy.MaxAge = time.Hour
	id := w.holdBy(t, "", "b@gmail.com")
	w.holdBy(t, "", "c@gmail.com")
	for range 24 {
		w.later += 2 * time.Hour
		w.expire(t.Context())
	}
	p.wantMail(t, "")
	if n := strings.Count(log.String(), "can't be returned and stays held, and the review log isn't trimmed past it"); n != 2 || w.states(t, id) != "held" || w.actions(t, id) != "hold" {
		t.Errorf("%d warnings in two days, %s, %s", n, w.states(t, id), w.actions(t, id))
	}
	w.policy.Postmaster = path(t, "postmaster@example.com")
	w.expire(t.Context())
	p.wantMail(t, "postmaster@example.com postmaster@example.com", "To: <postmaster@example.com>", "Action: failed", "X-Mine: yes", "sender can't be told")
	if got := w.states(t, id); got != "bounced" {
		t.Error(got)
	}
}

func TestSenderRefused(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge = time.Hour
	p.never["gone@example.com"] = true
	id := w.holdBy(t, "gone@example.com", "b@gmail.com")
	w.later = 2 * time.Hour
	w.expire(t.Context())
	w.later += 20 * time.Hour
	w.expire(t.Context())
	if got := w.actions(t, id); got != "hold return requeue" {
		t.Errorf("log: %s, want one try a day", got)
	}
	w.policy.Postmaster = path(t, "postmaster@example.com")
	w.mailing.forget() // as a reload does
	w.expire(t.Context())
	p.wantMail(t, "postmaster@example.com", "sender can't be told")
	if got := w.states(t, id); got != "bounced" {
		t.Error(got)
	}
}

func TestReturnFails(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge = time.Hour
	id := w.holdBy(t, "ann@example.com", "b@gmail.com")
	p.notNow["ann@example.com"] = true
	w.later = 2 * time.Hour
	w.expire(t.Context())
	w.expire(t.Context())
	if got := w.states(t, id); got != "held" || p.tried != 1 {
		t.Errorf("%s after %d tries", got, p.tried)
	}
	p.notNow = nil
	w.later += 2 * time.Minute
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com")
	if got := w.actions(t, id); got != "hold return requeue return bounce" {
		t.Error(got)
	}
}

// Nobody else moves a message while it is being returned, and it isn't returned
// while it is being released.
func TestReturnAndReviewer(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge = time.Hour
	id := w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.later = 2 * time.Hour
	p.during = func() {
		p.during = nil
		if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); !errors.Is(err, ErrConflict) {
			t.Errorf("discard during a return: %v", err)
		}
	}
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com")

	other := w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.later += 2 * time.Hour
	p.during = func() {
		p.during = nil
		w.expire(t.Context())
	}
	if _, err := w.Release(t.Context(), Request{ID: other, Actor: "ann", Reason: "x", Anyway: true}); err != nil {
		t.Fatal(err)
	}
	p.wantMail(t, "ann@example.com")
	if got := w.states(t, id) + " " + w.states(t, other); got != "bounced delivered" {
		t.Error(got)
	}
}

// A stop at any step loses nothing: at most the report goes twice.
func TestReturnInterrupted(t *testing.T) {
	for point, sent := range map[string]string{
		"expire-claimed": "ann@example.com", "expire-sent": "ann@example.com ann@example.com", "expire-settled": "ann@example.com",
	} {
		t.Run(point, func(t *testing.T) {
			w, p := newPost(t)
			w.policy.MaxAge = time.Hour
			id := w.holdBy(t, "ann@example.com", "b@gmail.com")
			w.later = 2 * time.Hour
			stop := point
			w.o.CrashPoint = func(name string) {
				if name == stop {
					panic("stop")
				}
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no such point")
					}
				}()
				w.expire(t.Context())
			}()
			stop = ""
			if err := w.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := w.states(t, id), map[bool]string{true: "bounced", false: "held"}[point == "expire-settled"]; got != want {
				t.Fatalf("%s after the restart, want %s", got, want)
			}
			w.expire(t.Context())
			w.expire(t.Context())
			p.wantMail(t, sent)
			if got := w.states(t, id); got != "bounced" {
				t.Error(got)
			}
		})
	}
}

// A stop begins no return.
func TestNoReturnWhileStopping(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge, w.policy.NotifyAfter = 2*time.Hour, time.Hour
	id := w.holdBy(t, "ann@example.com", "b@gmail.com")
	w.Drain(0)
	w.later = 90 * time.Minute
	w.notices(t.Context())
	w.later = 3 * time.Hour
	w.expire(t.Context())
	if got := w.actions(t, id); got != "hold" || p.tried != 0 {
		t.Errorf("%s, %d tries", got, p.tried)
	}
}

// One round looks at a bounded number of messages, and the next goes on from there.
func TestRoundsSeeAll(t *testing.T) {
	w := newWorld(t)
	const n = 2*noticeLooks + 50
	list := func(after string) ([]string, error) {
		var at int
		fmt.Sscanf(after, "%05d", &at)
		var ids []string
		for i := at + 1; i <= n && len(ids) < noticePage; i++ {
			ids = append(ids, fmt.Sprintf("%05d", i))
		}
		return ids, nil
	}
	var after string
	seen := map[string]int{}
	round := func(send bool) {
		w.round(t.Context(), errand{"test", &after, list, func(_ context.Context, id string) (bool, error) {
			seen[id]++
			return send, nil
		}})
	}
	round(false)
	if len(seen) != noticeLooks {
		t.Errorf("%d in the first round", len(seen))
	}
	round(false)
	round(false)
	if len(seen) != n || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("%d seen in three rounds", len(seen))
	}
	round(true)
	if seen["00001"] != 2 || seen[fmt.Sprintf("%05d", noticeSends)] != 2 || seen[fmt.Sprintf("%05d", noticeSends+1)] != 1 {
		t.Error("the last round didn't begin again, or wrote to too many")
	}
}

// Where DNS is slow, a round ends after a while, and the next goes on.
func TestSlowRound(t *testing.T) {
	w := newWorld(t)
	var after string
	var seen []string
	e := errand{"test", &after, func(after string) ([]string, error) {
		return []string{after + "a", after + "ab", after + "abc"}, nil
	}, func(_ context.Context, id string) (bool, error) {
		w.later += noticeTime * 2 / 5
		seen = append(seen, id)
		return false, nil
	}}
	w.round(t.Context(), e)
	if len(seen) != 3 || after != seen[2] {
		t.Errorf("%d seen, goes on after %q", len(seen), after)
	}
}

// A bounce without a usable From goes back with the cause, not with a missing key of
// no domain.
func TestReturnWithoutAuthor(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge, w.policy.Postmaster = time.Hour, path(t, "postmaster@example.com")
	w.judge.set("gmail.com", gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseForeign,
		Prediction: preflight.Prediction{Codes: []string{"from-unusable"}}})
	m := &spool.Message{Source: "milter", Recipients: []spool.Recipient{{
		Address: path(t, "b@gmail.com"), State: spool.Held, Reason: spool.Foreign, Codes: []string{"from-unusable"}}}}
	if err := w.store.Take(t.Context(), m, strings.NewReader("From: MAILER-DAEMON\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.Get(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if j := heldFor(stored, stored.Recipients[0]); j.now != "foreign" || strings.Contains(j.why, "key for") {
		t.Errorf("a list says %+v", j)
	}
	w.later = 2 * time.Hour
	w.expire(t.Context())
	p.wantMail(t, "postmaster@example.com", "Its From field doesn't have exactly one usable address",
		"For the administrator", "mailgate explain from-unusable")
	if strings.Contains(p.got[0], "signing key") {
		t.Errorf("a key is said to be missing:\n%s", p.got[0])
	}
}

func TestFate(t *testing.T) {
	m := &spool.Message{From: path(t, "ann@example.com")}
	refuse := func(reply string) gate.Recipient {
		return gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseRefused, Prediction: preflight.Prediction{Verdict: preflight.Refuse, Reply: reply}}
	}
	for name, test := range map[string]struct {
		r               gate.Recipient
		failed, delayed string
		predicted       bool
	}{
		"refused":      {refuse("550 5.7.26 no"), "5.7.26", "4.7.0", true},
		"without code": {refuse("550 SPF check failed"), "5.4.7", "4.7.0", true},
		"for now":      {refuse("451 4.7.26 no"), "5.4.7", "4.7.0", true},
		"an address":   {refuse("550 192.0.2.1 no"), "5.4.7", "4.7.0", true},
		"waiting":      {gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseWaiting}, "4.4.7", "4.4.3", false},
		"foreign":      {gate.Recipient{Disposition: gate.Hold, Cause: gate.CauseForeign}, "5.7.1", "4.7.0", false},
		"passes":       {gate.Recipient{Disposition: gate.Pass}, "5.4.7", "4.0.0", false},
	} {
		failed, delayed := fate(notice.Failed, m, test.r), fate(notice.Delayed, m, test.r)
		if failed.Status != test.failed || delayed.Status != test.delayed || failed.Predicted != test.predicted || failed.Predicted != (failed.Diagnostic != "") {
			t.Errorf("%s: %+v, %+v", name, failed, delayed)
		}
	}
}
