package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	actorRecheck = "recheck" // actor of moves no person made
	groupPage    = 200       // messages of one identity read at a time
)

// Run re-checks what is held, at once, then at every interval and after a reload,
// until ctx ends.
func (q *Quarantine) Run(ctx context.Context) error {
	tick := time.NewTicker(cmp.Or(q.o.Policy().Recheck, 30*time.Second))
	defer tick.Stop()
	for {
		if _, err := q.Recheck(ctx, RecheckRequest{}, nil); err != nil && ctx.Err() == nil && !errors.Is(err, ErrStopping) {
			q.o.Logger.Error("re-check", "error", err)
		}
		q.purge(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-q.kick:
		}
	}
}

// Reloaded tells of a new configuration: a fault in the way out may be mended, and
// what is held may pass now. Run re-checks soon.
func (q *Quarantine) Reloaded() {
	q.patience.forget()
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// RecheckRequest says what to re-check. Zero: everything.
type RecheckRequest struct {
	ID     string // what is held from the same From and MAIL FROM domains as this message
	Domain string // what is held from this From domain
}

// Rechecked counts what a re-check saw and did. A message to two recipients counts
// twice.
type Rechecked struct {
	Identities int `json:"identities"` // pairs of From and MAIL FROM domain to check
	Done       int `json:"done"`       // of these, checked
	Messages   int `json:"messages"`   // held, of those checked
	Passing    int `json:"passing"`    // of these, would pass now
	Refused    int `json:"refused"`    // would be refused, or have no key here
	Waiting    int `json:"waiting"`    // wait for DNS
	Released   int `json:"released"`   // of the passing, handed over; the rest goes as Policy allows
	Failed     int `json:"failed"`     // could not be handed over
}

// Recheck judges what is held again, one identity after the other, and releases
// what passes now, oldest first. DNS is asked afresh once per identity. Without
// AutoRelease the verdicts are brought up to date and nothing leaves.
func (q *Quarantine) Recheck(ctx context.Context, _ RecheckRequest, _ func(Rechecked)) (Rechecked, error) {
	var sum Rechecked
	groups, err := q.store.HeldGroups(ctx)
	if err != nil {
		return sum, fmt.Errorf("list held identities: %w", err)
	}
	for _, g := range groups {
		if err := q.recheckGroup(ctx, g.GroupKey, &sum); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (q *Quarantine) recheckGroup(ctx context.Context, g spool.GroupKey, sum *Rechecked) error {
	judge := q.o.Judge().JudgeAfresh
	after := ""
	for {
		ids, err := q.store.GroupIDs(ctx, g, after, groupPage)
		if err != nil {
			return fmt.Errorf("list held mail from %s: %w", g.From, err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			goOn, err := q.recheckOne(ctx, id, judge, sum)
			if err != nil || !goOn {
				return err
			}
			judge = q.o.Judge().Judge
		}
		after = ids[len(ids)-1]
	}
}

// recheckOne re-checks one message. It reports whether the next one is worth
// trying, and returns only errors that end the whole re-check.
func (q *Quarantine) recheckOne(ctx context.Context, id string, judge judgeFunc, sum *Rechecked) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	taken, err := q.recheckMessage(ctx, id, judge, sum)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, spool.ErrStopped), errors.Is(err, ErrStopping):
		return false, err
	case errors.Is(err, spool.ErrConflict), errors.Is(err, spool.ErrNotFound):
		return true, nil // a reviewer was first
	}
	sum.Failed++
	wait := q.patience.failed(id, q.o.Now())
	q.o.Logger.Warn("release failed, tried again later", "id", id, "in", wait, "error", err)
	// An answer about this message says nothing of the next; no answer does.
	return taken != nil, nil
}

type judgeFunc func(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict

func (q *Quarantine) recheckMessage(ctx context.Context, id string, judge judgeFunc, sum *Rechecked) (*Released, error) {
	m, err := q.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	held := m.In(spool.Held)
	if len(held) == 0 {
		return nil, nil
	}
	sum.Messages++
	verdict := judge(ctx, m.From.Domain, m.Envelope.From, addresses(held))
	if err := q.assess(ctx, m.ID, held, verdict); err != nil {
		return nil, err
	}
	passing := passes(verdict)
	if len(passing) == 0 || !q.o.Policy().AutoRelease || q.patience.tooEarly(id, q.o.Now()) {
		return nil, nil
	}
	released, err := q.send(ctx, m, passing, Request{ID: id, Actor: actorRecheck, Reason: "would pass now"})
	if err == nil {
		q.patience.done(id)
		sum.Released++
	}
	return released, err
}

// assess writes down a changed verdict, so that "waiting for DNS" and "would be
// refused" stay apart and a list names today's finding.
func (q *Quarantine) assess(ctx context.Context, id string, held []spool.Recipient, v gate.Verdict) error {
	for i, r := range v.Recipients {
		now := holdOf(r)
		if r.Disposition == gate.Pass || same(now, held[i]) {
			continue
		}
		err := q.store.Move(ctx, spool.Move{
			ID: id, To: []mail.Address{r.Address}, From: spool.Held, Into: spool.Held,
			Actor: actorRecheck, Reason: "verdict changed", Codes: now.Codes,
			Verdict: string(r.Prediction.Verdict), Now: &now, At: q.o.Now(),
		})
		if err != nil {
			return fmt.Errorf("note the new verdict on %s: %w", id, err)
		}
	}
	return nil
}

// holdOf is what a recipient with this verdict is held for.
func holdOf(r gate.Recipient) spool.Hold {
	return spool.Hold{
		Reason: spool.Reason(r.Cause),
		Codes:  r.Prediction.Codes,
		Rule:   r.Prediction.Rule,
		Reply:  r.Prediction.Reply,
	}
}

func same(now spool.Hold, r spool.Recipient) bool {
	return now.Reason == r.Reason && now.Rule == r.Rule && slices.Equal(now.Codes, r.Codes)
}

func passes(v gate.Verdict) []gate.Recipient {
	var passing []gate.Recipient
	for _, r := range v.Recipients {
		if r.Disposition == gate.Pass {
			passing = append(passing, r)
		}
	}
	return passing
}

func addresses(recipients []spool.Recipient) []mail.Address {
	list := make([]mail.Address, len(recipients))
	for i, r := range recipients {
		list[i] = r.Address
	}
	return list
}

// keepBodies is how long the body of a message stays after its last recipient was
// delivered or discarded. The rest of it, and the review log, stay.
const keepBodies = 7 * 24 * time.Hour

func (q *Quarantine) purge(ctx context.Context) {
	n, err := q.store.Purge(ctx, q.o.Now().Add(-keepBodies))
	if err != nil && ctx.Err() == nil {
		q.o.Logger.Error("delete old bodies", "error", err)
	}
	if n > 0 {
		q.o.Logger.Info("deleted bodies of finished messages", "messages", n)
	}
}
