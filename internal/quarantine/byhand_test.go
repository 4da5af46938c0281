package quarantine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// heldByHand is a message of the relay's that root held by hand, for each recipient.
func (w *world) heldByHand(t *testing.T, to ...string) *spool.Message {
	t.Helper()
	m := holdAtRelay(t, w, to...)
	move := func(m spool.Move) {
		t.Helper()
		if err := w.store.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	now := w.o.Now()
	move(spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued, Actor: "recheck", Next: now, At: now})
	move(spool.Move{ID: m.ID, From: spool.Queued, Into: spool.Held, Actor: "root", Reason: "sent twice", Now: &spool.Hold{Reason: spool.ByHand}, At: now})
	return m
}

// What is held by hand leaves neither by the re-check nor at a start, though it would
// pass; the other recipients of its message do. A reviewer lets it go.
func TestByHandStays(t *testing.T) {
	w := newWorld(t)
	w.o.Relay = &fakeRelay{}
	m := w.heldByHand(t, "bob")
	mixed := holdAtRelay(t, w, "carol", "dora")
	for _, into := range []spool.State{spool.Queued, spool.Held} {
		from := map[spool.State]spool.State{spool.Queued: spool.Held, spool.Held: spool.Queued}[into]
		err := w.store.Move(t.Context(), spool.Move{
			ID: mixed.ID, To: []mail.Address{path(t, "carol@gmail.com")}, From: from, Into: into, Actor: "root", Next: time.Now(), Now: &spool.Hold{Reason: spool.ByHand},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.judge.refuse("gmail.com")
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.recipient(t, m.ID); r.Reason != spool.ByHand {
		t.Errorf("a new verdict has taken its place: %+v", r)
	}
	w.judge.pass("gmail.com")
	w.later = time.Hour
	r, err := w.Recheck(t.Context(), RecheckRequest{}, nil)
	if err != nil || r.ByHand != 2 || r.Recipients != 1 || r.Passing != 1 || r.Released != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	w.turn(t)
	if got := w.states(t, m.ID) + ", " + w.states(t, mixed.ID); got != "held, held queued" {
		t.Errorf("%s", got)
	}
	if _, err := w.Release(t.Context(), Request{ID: m.ID, Actor: "root", Reason: "not twice after all"}); err != nil {
		t.Error(err)
	}
	if got := w.states(t, m.ID); got != "queued" {
		t.Error(got)
	}
}

// turn asks nothing of groups that the schedule doesn't have.
func TestByHandIsNotScheduled(t *testing.T) {
	w := newWorld(t)
	w.heldByHand(t, "bob")
	if !w.readGroups(t.Context(), time.Now(), time.Second, true) || len(w.schedule.of) != 0 {
		t.Errorf("%+v", w.schedule.of)
	}
	w.holdFrom(t, "ann@example.org", "bob@gmail.com")
	if !w.readGroups(t.Context(), time.Now(), time.Second, true) || len(w.schedule.of) != 1 {
		t.Errorf("%+v", w.schedule.of)
	}
}

func (w *world) recipient(t *testing.T, id string) spool.Recipient {
	t.Helper()
	m, err := w.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m.Recipients[0]
}

// Who holds it and why is shown, and counted apart.
func TestByHandIsShown(t *testing.T) {
	w := newWorld(t)
	m := w.heldByHand(t, "bob")
	w.later = 3 * time.Minute
	page, err := w.List(t.Context(), Query{Reason: "by-hand"})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].Now != "by-hand" || page.Messages[0].Recipients[0].Now != "by-hand" || page.Counts.ByHand != 1 || page.Counts.Held != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	d, err := w.Show(t.Context(), m.ID)
	if err != nil || d.Now != "by-hand" || d.Why != "held by root 3 min ago: sent twice" || d.Recipients[0].Reason != spool.ByHand {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := w.List(t.Context(), Query{Reason: "hand"}); !errors.Is(err, ErrQuery) || !strings.Contains(err.Error(), "by-hand") {
		t.Error(err)
	}
}

// hold.max_age counts from the hold on, and a return that fails doesn't begin it anew.
func TestByHandIsReturnedInTheEnd(t *testing.T) {
	w, p := newPost(t)
	const day = 24 * time.Hour
	w.policy.MaxAge = 5 * day
	w.judge.pass("gmail.com")
	ann := path(t, "ann@example.com")
	m := &spool.Message{Source: "milter", From: ann, Envelope: mail.Envelope{From: ann}, Received: w.o.Now().Add(-20 * day), Return: "FULL", Recipients: []spool.Recipient{
		{Address: path(t, "bob@gmail.com"), State: spool.Queued, Delivery: spool.Delivery{Next: w.o.Now()}},
	}}
	m.Envelope.To = []mail.Address{m.Recipients[0].Address}
	if err := w.store.Take(t.Context(), m, strings.NewReader("Subject: hello\r\n\r\nthe whole of it\r\n")); err != nil {
		t.Fatal(err)
	}
	err := w.store.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Queued, Into: spool.Held, Actor: "root", Reason: "why", Now: &spool.Hold{Reason: spool.ByHand}, At: w.o.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.expire(t.Context())
	w.later += 4 * day
	w.expire(t.Context())
	if got := w.states(t, m.ID); got != "held" || p.tried != 0 {
		t.Fatalf("%s after 4 days, %d reports", got, p.tried)
	}
	w.later += day + time.Minute
	p.away = errors.New("connection refused")
	w.expire(t.Context())
	p.away = nil
	w.later += 2 * time.Hour
	w.expire(t.Context()) // to the end of the list
	w.expire(t.Context())
	if got := w.states(t, m.ID); got != "bounced" || p.tried != 2 {
		t.Fatalf("%s after 5 days, %d reports", got, p.tried)
	}
	p.wantMail(t, "ann@example.com", "An administrator held it back", "Action: failed", "Status: 5.4.7", "Content-Type: message/rfc822", "the whole of it")
}

// A sender is told of the delay, and until when it may last.
func TestByHandNotice(t *testing.T) {
	w, p := newPost(t)
	w.policy.NotifyAfter, w.policy.MaxAge = 4*time.Hour, 5*24*time.Hour
	id := w.holdBy(t, "ann@example.com", "bob@gmail.com")
	held := w.o.Now().Add(2 * time.Hour)
	for _, m := range []spool.Move{
		{From: spool.Held, Into: spool.Queued, Next: held},
		{From: spool.Queued, Into: spool.Held, Now: &spool.Hold{Reason: spool.ByHand}},
	} {
		m.ID, m.Actor, m.At = id, "root", held
		if err := w.store.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	w.later = 5 * time.Hour
	w.notices(t.Context())
	p.wantMail(t, "ann@example.com", "An administrator holds it back.", "It leaves when an administrator lets it go.", "Status: 4.7.0",
		"Will-Retry-Until: "+held.Add(5*24*time.Hour).UTC().Format(time.RFC1123Z))
}

// The digest counts what is held by hand, and nothing that was given up.
func TestByHandInDigest(t *testing.T) {
	w, p := newPost(t)
	w.policy.Postmaster, w.policy.Digest = path(t, "post@example.com"), time.Hour
	m := w.heldByHand(t, "bob", "carol")
	err := w.store.Move(t.Context(), spool.Move{ID: m.ID, To: []mail.Address{path(t, "carol@gmail.com")}, From: spool.Held, Into: spool.Bounced, Actor: "root"})
	if err != nil {
		t.Fatal(err)
	}
	w.later = 30 * time.Minute
	w.digest(t.Context())
	p.wantMail(t, "post@example.com", "2 recipients, 1 still held: held by hand", "What is held by hand stays until a reviewer lets it go.")
	if strings.Contains(p.got[0], "Publish") {
		t.Errorf("%s", p.got[0])
	}
}

func TestNothingIsLeftByHandForTheDigest(t *testing.T) {
	w, p := newPost(t)
	w.policy.Postmaster, w.policy.Digest = path(t, "post@example.com"), time.Hour
	m := w.heldByHand(t, "bob")
	if err := w.store.Move(t.Context(), spool.Move{ID: m.ID, From: spool.Held, Into: spool.Bounced, Actor: "root"}); err != nil {
		t.Fatal(err)
	}
	w.later = 30 * time.Minute
	w.digest(t.Context())
	p.wantMail(t, "")
}
