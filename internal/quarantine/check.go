package quarantine

import (
	"context"
	"errors"
	"fmt"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// check judges what is held of one identity, DNS asked afresh once or not at all,
// and notes when it is due again.
func (q *Quarantine) check(ctx context.Context, id identity, groups []spool.Group, afresh bool, s *sum) error {
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	w := &walk{q: q, sum: s, afresh: afresh}
	err := q.checkGroups(ctx, groups, w)
	if errors.Is(err, errAway) {
		err = nil // what is left waits for its next check
	}
	if ctx.Err() == nil {
		q.schedule.checked(id, q.turnAfter(groups, afresh, w.crowded))
	}
	return err
}

// checkGroups judges all groups before it acts on any: a message can be in several.
func (q *Quarantine) checkGroups(ctx context.Context, groups []spool.Group, w *walk) error {
	judge := q.judge
	if w.afresh {
		judge = q.judgeAfresh
	}
	var deeds []func(context.Context) error
	for _, g := range groups {
		m, r, err := q.representative(ctx, g.GroupKey)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		verdict := judge(ctx, m, []mail.Address{r.Address})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if do := w.decide(g, r, verdict.Recipients[0]); do != nil {
			deeds = append(deeds, do)
		}
		judge = q.judge
	}
	for _, do := range deeds {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// decide takes the verdict on one recipient for that on all of its group, and
// returns what is to be done; nil: nothing. While the verdict is what it was
// before, the rest of the group isn't looked at. Where DNS isn't asked afresh,
// nothing is done but to send on.
func (w *walk) decide(g spool.Group, r spool.Recipient, now gate.Recipient) func(context.Context) error {
	if !speaksForAll(now, g.GroupKey) {
		if !w.afresh {
			return func(ctx context.Context) error { return w.releaseSome(ctx, g.GroupKey) }
		}
		return func(ctx context.Context) error { return w.judgeEach(ctx, g.GroupKey) }
	}
	w.q.known.remember(place{group: g.GroupKey}, now, w.q.o.Now())
	w.sum.add(func(s *Rechecked) { s.judged(now, g.Held) })
	switch {
	case now.Disposition == gate.Pass:
		return func(ctx context.Context) error { return w.release(ctx, g.GroupKey) }
	case w.afresh && !same(holdOf(now, r), r):
		return func(ctx context.Context) error { return w.judgeEachAgain(ctx, g.GroupKey) }
	}
	return nil
}

// representative finds the oldest message of a group, and its first recipient
// there; nil when the group is empty by now.
func (q *Quarantine) representative(ctx context.Context, g spool.GroupKey) (*spool.Message, spool.Recipient, error) {
	ids, err := q.store.GroupIDs(ctx, g, "", 1)
	if err != nil {
		return nil, spool.Recipient{}, fmt.Errorf("list held mail from %s: %w", g.From, err)
	}
	if len(ids) == 0 {
		return nil, spool.Recipient{}, nil
	}
	m, err := q.store.Get(ctx, ids[0])
	if errors.Is(err, spool.ErrNotFound) {
		return nil, spool.Recipient{}, nil
	}
	if err != nil {
		return nil, spool.Recipient{}, fmt.Errorf("read %s: %w", ids[0], err)
	}
	for _, r := range m.In(spool.Held) {
		if keyOf(m, r) == g {
			return m, r, nil
		}
	}
	return nil, spool.Recipient{}, nil
}

// speaksForAll reports whether a verdict on one recipient is that on all of its
// group. A provider not known when they were held may be another for each of them.
func speaksForAll(r gate.Recipient, g spool.GroupKey) bool {
	if r.Cause == gate.CauseForeign {
		return true // depends on From alone
	}
	provider := r.Prediction.Provider
	if !hasProvider(g) {
		return false
	}
	return provider == "" || string(provider) == g.Provider
}

// judged counts recipients with a verdict.
func (s *Rechecked) judged(r gate.Recipient, recipients int) {
	s.Recipients += recipients
	switch {
	case r.Disposition == gate.Pass:
		s.Passing += recipients
	case r.Cause == gate.CauseWaiting:
		s.Waiting += recipients
	case r.Cause == gate.CauseForeign:
		s.Foreign += recipients
	default:
		s.Refused += recipients
	}
}
