package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// reviews are a reviewer's doings.
type reviews struct {
	released  int              // answered: sent
	asked     map[claim]bool   // to be discarded: it may be, until there is an answer
	discarded map[claim]bool   // answered: discarded
	thrown    map[receipt]bool // them by letter and recipient
}

func newReviews() reviews {
	return reviews{asked: map[claim]bool{}, discarded: map[claim]bool{}, thrown: map[receipt]bool{}}
}

// crashReview is how many events pass at most before the reviewer acts again.
const crashReview = 12

// reviewer releases and discards single recipients of what is held.
func (l *load) reviewer() {
	book := l.w.ledger
	for next := 0; ; {
		book.wait(func() bool { return l.ended() || book.events >= next })
		if l.ended() {
			return
		}
		if c, n, ok := l.pick(); ok {
			if rand.IntN(2) == 0 && book.mayDiscard(c, n) {
				l.discard(c, n)
			} else {
				l.release(c)
			}
		}
		book.do(func() { next = book.events + 1 + rand.IntN(crashReview) })
	}
}

// pick returns a held recipient and the number of its letter.
func (l *load) pick() (c claim, n int, ok bool) {
	var page quarantine.Page
	answer, ok := l.ask(func(g *client, ctx context.Context) error {
		return g.get(ctx, "/v1/quarantine", map[string][]string{"limit": {"50"}}, &page)
	})
	if !ok || answer != nil || len(page.Messages) == 0 {
		return claim{}, 0, false
	}
	m := page.Messages[rand.IntN(len(page.Messages))]
	n, err := strconv.Atoi(strings.TrimPrefix(m.Subject, "crash "))
	if err != nil {
		return claim{}, 0, false // audit will find it
	}
	held := slices.DeleteFunc(m.Recipients, func(r quarantine.Recipient) bool { return r.State != spool.Held })
	if len(held) == 0 {
		return claim{}, 0, false
	}
	return claim{m.ID, held[rand.IntN(len(held))].Address}, n, true
}

// ask calls the running gateway, and returns its refusal, if it is one. ok is false
// when the gateway was killed before it answered, which is then over.
func (l *load) ask(call func(*client, context.Context) error) (answer *refusal, ok bool) {
	select {
	case <-l.w.answers():
	case <-l.over:
		return nil, false
	}
	killed := l.w.ends()
	g, err := (&app{config: l.w.configFile()}).connect()
	if err != nil {
		l.w.t.Error(err)
		return nil, false
	}
	defer g.http.CloseIdleConnections()
	err = call(g, l.w.t.Context())
	if err == nil {
		return nil, true
	}
	if errors.As(err, &answer) {
		return answer, true
	}
	select {
	case <-killed:
	case <-l.over:
	}
	return nil, false
}

// order is what is posted about one recipient.
func (l *load) order(verb string, c claim, review web.Review) (answer *refusal, ok bool) {
	review.Reason, review.Recipients = "crash", []string{c.to}
	return l.ask(func(g *client, ctx context.Context) error {
		var into map[string]any
		return g.post(ctx, "/v1/quarantine/"+c.id+"/"+verb, review, &into)
	})
}

// release sends a recipient's copy, as a reviewer who knows better does.
func (l *load) release(c claim) {
	answer, ok := l.order("release", c, web.Review{Anyway: true})
	if !ok {
		return
	}
	l.w.ledger.do(func() {
		book := l.w.ledger
		switch {
		case answer == nil:
			book.reviews.released++
			if !slices.ContainsFunc(book.receipts, func(r receipt) bool { return r.id == c.id && r.to == c.to }) {
				book.fault("the release of %v was acknowledged, and it has not arrived", c)
			}
		case answer.status != http.StatusConflict && answer.status != http.StatusNotFound:
			book.fault("the release of %v was refused: %v", c, answer)
		}
	})
}

// mayDiscard: what is discarded can't be told from what is lost, unless it is the
// letter's only copy.
func (l *ledger) mayDiscard(c claim, n int) (ok bool) {
	l.do(func() {
		ok = n < len(l.letters) && l.letters[n].acked && l.letters[n].broken == 0
		if ok {
			l.reviews.asked[c] = true
		}
	})
	return ok
}

// discard throws a recipient's copy away, and asks until it knows whether it did.
func (l *load) discard(c claim, n int) {
	for {
		answer, ok := l.order("discard", c, web.Review{})
		if ok && answer != nil {
			l.wasDiscarded(c, n)
			return
		}
		if ok {
			l.w.ledger.noteDiscard(c, n)
			return
		}
		select {
		case <-l.over:
			return
		default:
		}
	}
}

// wasDiscarded finds out whether somebody else moved it, or an order without an
// answer was carried out.
func (l *load) wasDiscarded(c claim, n int) {
	for {
		var found quarantine.Detail
		answer, ok := l.ask(func(g *client, ctx context.Context) error { return g.get(ctx, "/v1/quarantine/"+c.id, nil, &found) })
		switch {
		case ok && answer == nil:
			there := func(r quarantine.Recipient) bool { return r.Address == c.to && r.State == spool.Discarded }
			if slices.ContainsFunc(found.Recipients, there) {
				l.w.ledger.noteDiscard(c, n)
			} else {
				l.w.ledger.do(func() { delete(l.w.ledger.reviews.asked, c) })
			}
			return
		case ok: // it is forgotten: one or the other
			if !l.w.ledger.left(c) {
				l.w.ledger.noteDiscard(c, n)
			}
			return
		}
		select {
		case <-l.over:
			return
		default:
		}
	}
}

// left reports whether a message of the store has arrived.
func (l *ledger) left(c claim) (ok bool) {
	l.do(func() {
		ok = slices.ContainsFunc(l.receipts, func(r receipt) bool { return r.id == c.id && r.to == c.to })
	})
	return ok
}

// noteDiscard notes that a recipient's copy is gone, as its reviewer wants.
func (l *ledger) noteDiscard(c claim, n int) {
	l.do(func() {
		l.events++
		m := l.letters[n]
		if l.waitsFor(n, c.to) {
			l.missing--
			l.of[m.from]--
		}
		l.reviews.discarded[c] = true
		l.reviews.thrown[receipt{n: n, to: c.to}] = true
	})
}
