package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// What would pass, but is refused by the next server again and again, comes back in
// the end, with that server's words.
func TestStuckIsReturned(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge, w.policy.NextServer = time.Hour, "mx1.example.com"
	id := w.holdBy(t, "ann@example.com", "c@other.example")
	w.mta.refuse = map[string]error{"c@other.example": errors.New("552 5.3.4 too large")}
	w.turn(t)
	waiting := w.holdBy(t, "ann@example.com", "e@other.example") // nobody tried it yet
	w.later = 2 * time.Hour
	w.expire(t.Context())
	p.wantMail(t, "")
	w.later = time.Hour + releaseGrace + time.Minute
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com", "mx1.example.com answered: 552 5.3.4 too large", "Status: 5.3.4",
		"Remote-MTA: dns; mx1.example.com", "Diagnostic-Code: smtp; 552 5.3.4 too large", "Last-Attempt-Date: ")
	for _, wrong := range []string{"held the message back", "prediction", "The cause is not in what you wrote", "waited for a release"} {
		if strings.Contains(p.got[0], wrong) {
			t.Errorf("%q in\n%s", wrong, p.got[0])
		}
	}
	if got := w.states(t, id) + " " + w.states(t, waiting); got != "bounced held" {
		t.Error(got)
	}
}

// A server that gave no answer has said nothing.
func TestStuckWithoutAnswer(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge, w.policy.NextServer = time.Hour, "mx1.example.com"
	w.holdBy(t, "ann@example.com", "c@other.example")
	p.away = errors.New("connection refused")
	w.turn(t)
	p.away = nil
	w.later = time.Hour + releaseGrace
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com", "sends it on: connection refused", "Status: 4.4.1")
	if strings.Contains(p.got[0], "Diagnostic-Code") || strings.Contains(p.got[0], "Remote-MTA") {
		t.Error(p.got[0])
	}
}

// What would be refused by now comes back for that, whatever the next server said
// when it passed.
func TestRefusedAgain(t *testing.T) {
	w, p := newPost(t)
	w.policy.MaxAge = time.Hour
	w.judge.pass("gmail.com")
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("552 too large"), "c@other.example": errors.New("452 disk full")}
	w.holdBy(t, "ann@example.com", "b@gmail.com", "c@other.example")
	w.turn(t)
	w.judge.refuse("gmail.com")
	w.later = time.Hour + releaseGrace
	w.expire(t.Context())
	p.wantMail(t, "ann@example.com", "no key is published", "452 disk full")
	if strings.Contains(p.got[0], "552 too large") {
		t.Error(p.got[0])
	}
}

// What would pass is returned only if the next server didn't take it.
func TestPassingIsReturned(t *testing.T) {
	for name, c := range map[string]struct {
		happened func(t *testing.T, w *world, p *postman, id string)
		want     string
	}{
		"nothing":             {func(*testing.T, *world, *postman, string) {}, "held"},
		"not taken":           {notTaken, "bounced"},
		"release interrupted": {interrupted(spool.Move{Actor: actorRecheck}), "held"},
		"return interrupted":  {interrupted(spool.Move{Actor: actorExpire, Return: true}), "held"},
		"return failed":       {returnFailed, "held"},
		"not taken, then a return interrupted": {func(t *testing.T, w *world, p *postman, id string) {
			notTaken(t, w, p, id)
			interrupted(spool.Move{Actor: actorExpire, Return: true})(t, w, p, id)
		}, "bounced"},
		"not taken, then another verdict": {func(t *testing.T, w *world, p *postman, id string) {
			notTaken(t, w, p, id)
			w.judge.keepWaiting("gmail.com")
			w.turn(t)
		}, "held"},
		"interrupted, in the words of an older log": {func(t *testing.T, w *world, p *postman, id string) {
			w.mustMove(t, spool.Move{ID: id, From: spool.Held, Into: spool.Queued})
			w.mustMove(t, spool.Move{ID: id, From: spool.Queued, Into: spool.Held, Actor: actorStart, Reason: "release failed: interrupted by a stop of mailgate"})
		}, "held"},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := newPost(t)
			w.policy.MaxAge = time.Hour
			id := w.holdBy(t, "ann@example.com", "b@gmail.com")
			c.happened(t, w, p, id)
			w.judge.pass("gmail.com")
			w.later = time.Hour + releaseGrace
			w.expire(t.Context())
			if got := w.states(t, id); got != c.want {
				t.Errorf("%s, want %s: %s", got, c.want, w.actions(t, id))
			}
		})
	}
}

func notTaken(t *testing.T, w *world, _ *postman, _ string) {
	w.judge.pass("gmail.com")
	w.mta.refuse = map[string]error{"b@gmail.com": errors.New("450 busy")}
	w.turn(t)
}

func returnFailed(_ *testing.T, w *world, p *postman, _ string) {
	w.later = 2 * time.Hour
	p.notNow["ann@example.com"] = true
	w.expire(context.Background())
	p.notNow = nil
	w.mailing.forget()
}

// interrupted is a stop right after a claim.
func interrupted(claim spool.Move) func(*testing.T, *world, *postman, string) {
	return func(t *testing.T, w *world, _ *postman, id string) {
		claim.ID, claim.From, claim.Into = id, spool.Held, spool.Queued
		w.mustMove(t, claim)
		if err := w.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) mustMove(t *testing.T, m spool.Move) {
	t.Helper()
	if err := w.store.Move(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// An interrupted release is taken back, and is no failed one.
func TestInterruptedIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.o.Count = func(result string, n int) { t.Errorf("counted %d %s", n, result) }
	id := w.hold(t, "one", "b@gmail.com")
	interrupted(spool.Move{Actor: actorRecheck})(t, w, nil, id)
	log, err := w.store.Log(t.Context(), spool.LogFilter{ID: id, Limit: 1})
	if err != nil || log[0].Reason != "interrupted by a stop of mailgate" || log[0].Actor != actorStart {
		t.Errorf("%+v, %v", log[0], err)
	}
}

// logReads counts how often the review log is read.
type logReads struct {
	spool.Store
	n atomic.Int64
}

func (l *logReads) Log(ctx context.Context, f spool.LogFilter) ([]spool.LogEntry, error) {
	l.n.Add(1)
	return l.Store.Log(ctx, f)
}

// However many recipients a message has, its log is read once, and to its end if
// need be.
func TestLogOfManyRecipients(t *testing.T) {
	w, p := newPost(t)
	const n = 1100 // more than a page of the log has
	var to []string
	for i := range n {
		to = append(to, fmt.Sprintf("u%d@other.example", i))
	}
	w.policy.MaxAge = time.Hour
	id := w.holdBy(t, "ann@example.com", to...)
	p.away = errors.New("connection refused")
	w.turn(t)
	p.away = nil
	w.later = time.Hour + releaseGrace
	reads := &logReads{Store: w.store}
	w.Quarantine = New(reads, w.o)
	w.expire(t.Context())
	if got := w.states(t, id); strings.Count(got, "bounced") != n || reads.n.Load() > 2 {
		t.Errorf("%d of %d bounced, the log read %d times", strings.Count(got, "bounced"), n, reads.n.Load())
	}
}

// The log has each recipient's own verdict and findings.
func TestEachVerdictIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, w *world, id string)
		want string
	}{
		"released anyway": {func(t *testing.T, w *world, id string) {
			if _, err := w.Release(t.Context(), Request{ID: id, Actor: "ann", Reason: "urgent", Anyway: true}); err != nil {
				t.Fatal(err)
			}
		}, "release bob accept [] urgent, release eve refuse [dkim-missing] anyway: urgent, deliver bob  [] urgent, deliver eve  [] anyway: urgent"},
		"returned": {func(t *testing.T, w *world, _ string) {
			w.policy.MaxAge, w.policy.AutoRelease = time.Hour, false
			w.later = 2 * time.Hour
			w.expire(t.Context())
		}, "return bob accept [] held for 2 h, return eve refuse [dkim-missing] held for 2 h, bounce bob  [] returned, bounce eve  [] returned"},
	} {
		w, _ := newPost(t)
		w.judge.set("fine.example", accepted)
		id := w.holdBy(t, "ann@example.com", "bob@fine.example", "eve@gmail.com")
		c.do(t, w, id)
		log, err := w.store.Log(t.Context(), spool.LogFilter{ID: id, OldestFirst: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range log[2:] { // after the holds
			got = append(got, fmt.Sprintf("%s %s %s %v %s", e.Action, e.Recipient.Local, e.After, e.Codes, e.Reason))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s\nwant %s", name, s, c.want)
		}
	}
}

// What can't be returned is seen, not only in the log of the program.
func TestNobodyToReturnTo(t *testing.T) {
	w, _ := newPost(t)
	w.policy.MaxAge = time.Hour
	bounce, letter := w.holdBy(t, "", "b@gmail.com"), w.holdBy(t, "ann@example.com", "b@gmail.com")
	passing := w.holdBy(t, "", "c@other.example")
	notes := func() string {
		page, err := w.List(t.Context(), Query{})
		if err != nil {
			t.Fatal(err)
		}
		var of []string
		for _, m := range page.Messages {
			d, err := w.Show(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if m.ID != passing && d.Note != m.Note { // the list asks nobody whether it would pass
				t.Errorf("%s: %q is shown, %q listed", m.ID, d.Note, m.Note)
			}
			if d.Note != "" {
				of = append(of, d.ID)
			}
		}
		return strings.Join(of, " ")
	}
	if got := notes(); got != "" {
		t.Errorf("too early: %s", got)
	}
	w.later = 2 * time.Hour
	if got := notes(); got != bounce {
		t.Errorf("noted: %q, want %q; not %q, which has a sender, nor %q, which passes", got, bounce, letter, passing)
	}
	w.policy.AutoRelease = false
	if got := notes(); got != passing+" "+bounce {
		t.Errorf("what passes stays by policy: noted %q", got)
	}
	w.policy.Postmaster = path(t, "postmaster@example.com")
	if got := notes(); got != "" {
		t.Errorf("with a postmaster: %s", got)
	}
}
