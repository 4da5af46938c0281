package quarantine

import (
	"context"
	"errors"
	"fmt"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// deed is what a walk did with a message.
type deed int

const (
	didNothing deed = iota // it left meanwhile, doesn't pass, or was tried in vain not long ago
	didSend
	hadNoRoom
)

// sendOne judges a message from memory and sends it to those recipients that pass
// and whose destinations have room. It returns only errors that end the walk.
func (w *walk) sendOne(ctx context.Context, id string) (deed, error) {
	if ctx.Err() != nil {
		return didNothing, ctx.Err()
	}
	q := w.q
	if q.patience.tooEarly(id, q.o.Now()) {
		return didNothing, nil
	}
	m, err := q.store.Get(ctx, id)
	if errors.Is(err, spool.ErrNotFound) {
		return didNothing, nil
	}
	if err != nil {
		return didNothing, fmt.Errorf("read %s: %w", id, err)
	}
	held := heldByDNS(m)
	fits := w.withRoom(held)
	if len(fits) < len(held) {
		w.crowd(w.group)
	}
	if len(fits) == 0 {
		if len(held) == 0 {
			return didNothing, nil
		}
		return hadNoRoom, nil
	}
	verdict := q.judge(ctx, m, addresses(fits))
	if ctx.Err() != nil {
		return didNothing, ctx.Err()
	}
	if err := q.assess(ctx, m, fits, verdict.Recipients); errors.Is(err, spool.ErrConflict) {
		return didNothing, nil // a reviewer was first
	} else if err != nil {
		return didNothing, err
	}
	passing := w.takeRoom(m, fits, verdict)
	if len(passing) == 0 {
		return didNothing, nil
	}
	released, err := q.send(ctx, m, passing, Request{ID: id, Actor: actorRecheck, Reason: "would pass now"})
	return didSend, w.sent(m, passing, released, err)
}

// withRoom returns the recipients whose destinations have room now.
func (w *walk) withRoom(held []spool.Recipient) []spool.Recipient {
	var fits []spool.Recipient
	for _, r := range held {
		if !w.noRoom(destination(r)) {
			fits = append(fits, r)
		}
	}
	return fits
}

// takeRoom returns those that pass, with room taken at their destinations.
// Somebody else may have taken it just now.
func (w *walk) takeRoom(m *spool.Message, held []spool.Recipient, v gate.Verdict) []gate.Recipient {
	q := w.q
	taken := map[string]bool{}
	var passing []gate.Recipient
	for i, r := range v.Recipients {
		if r.Disposition != gate.Pass {
			continue
		}
		d := destination(held[i])
		if _, tried := taken[d]; !tried {
			taken[d] = q.pace.take(q.o.Policy().ReleaseRate, []string{d}, q.o.Now()) == 0
		}
		if taken[d] {
			passing = append(passing, r)
		} else {
			w.crowd(keyOf(m, held[i]))
		}
	}
	return passing
}

// sent counts what came of a release, and says whether the walk goes on.
func (w *walk) sent(m *spool.Message, to []gate.Recipient, released *Released, err error) error {
	switch {
	case isEnd(err):
		return err
	case errors.Is(err, spool.ErrConflict), errors.Is(err, spool.ErrNotFound):
		return nil // a reviewer was first
	}
	n := 0
	if released != nil {
		n = released.taken
	}
	w.sum.add(func(s *Rechecked) {
		s.Released += n
		s.Failed += len(to) - n
	})
	if err == nil {
		w.q.patience.done(m.ID)
		return nil
	}
	now := w.q.o.Now()
	for _, r := range m.In(spool.Held) {
		for _, t := range to {
			if t.Address == r.Address {
				w.q.known.remember(placeOf(m, r), t, now) // it still passes
			}
		}
	}
	wait := w.q.patience.failed(m.ID, identityOf(m), now)
	w.q.o.Logger.Warn("release failed, tried again later", "id", m.ID, "in", wait, "error", err)
	// An answer about this message says nothing of the next; no answer does.
	if released == nil {
		return errAway
	}
	return nil
}

func addresses(recipients []spool.Recipient) []mail.Address {
	list := make([]mail.Address, len(recipients))
	for i, r := range recipients {
		list[i] = r.Address
	}
	return list
}
