package quarantine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// causeByHand of a verdict: it is held by hand, and what DNS says doesn't matter.
const causeByHand = gate.Cause(spool.ByHand)

// heldByDNS returns the recipients of m that are held for something the re-check can
// find mended. What is held by hand only a reviewer lets go.
func heldByDNS(m *spool.Message) []spool.Recipient {
	return slices.DeleteFunc(m.In(spool.Held), func(r spool.Recipient) bool { return r.Reason == spool.ByHand })
}

// groupsByDNS returns the groups that the re-check is about, and counts the
// recipients of the others.
func groupsByDNS(groups []spool.Group) (list []spool.Group, byHand int) {
	for _, g := range groups {
		if g.Reason == spool.ByHand {
			byHand += g.Held
		} else {
			list = append(list, g)
		}
	}
	return list, byHand
}

// keepByHand has a verdict on held recipients of m say of those that are held by
// hand that they are.
func keepByHand(m *spool.Message, v gate.Verdict) gate.Verdict {
	v.Recipients = slices.Clone(v.Recipients)
	for i, r := range v.Recipients {
		if !isHeldByHand(m, r.Address) {
			continue
		}
		v.Recipients[i] = gate.Recipient{
			Address: r.Address, Disposition: gate.Hold, Cause: causeByHand,
			Prediction: preflight.Prediction{Provider: r.Prediction.Provider, Why: "held by hand"},
		}
	}
	return v
}

func isHeldByHand(m *spool.Message, a mail.Address) bool {
	return slices.ContainsFunc(m.Recipients, func(r spool.Recipient) bool {
		return r.Address == a && r.State == spool.Held && r.Reason == spool.ByHand
	})
}

// lastHeldByHand is the entry of the review log by which a recipient of m was held by
// hand. A return or release that failed later isn't one.
func (q *Quarantine) lastHeldByHand(ctx context.Context, m *spool.Message, r spool.Recipient) (spool.LogEntry, error) {
	for after := int64(0); ; {
		log, err := q.store.Log(ctx, spool.LogFilter{ID: m.ID, Action: spool.ActionRequeue, After: after}) // the newest first
		if err != nil {
			return spool.LogEntry{}, fmt.Errorf("read the review log of %s: %w", m.ID, err)
		}
		if len(log) == 0 {
			return spool.LogEntry{Time: r.Changed}, nil
		}
		for _, e := range log {
			after = e.N
			if e.Recipient == r.Address && !ofReturn(e) && !strings.HasPrefix(e.Reason, releaseFailed) {
				return e, nil
			}
		}
	}
}

// whyByHand says who holds a message by hand, since when and why; empty if nobody
// does.
func (q *Quarantine) whyByHand(ctx context.Context, m *spool.Message) (string, error) {
	for _, r := range m.In(spool.Held) {
		if r.Reason != spool.ByHand {
			continue
		}
		e, err := q.lastHeldByHand(ctx, m, r)
		if err != nil || e.Actor == "" {
			return "held by hand", err
		}
		return fmt.Sprintf("held by %s %s ago: %s", e.Actor, inWords(q.o.Now().Sub(e.Time)), e.Reason), nil
	}
	return "", nil
}

// began is when the time that held recipients of m may stay began: with the message,
// and for what is held by hand, with that. The time of several is the shortest.
func (q *Quarantine) began(ctx context.Context, m *spool.Message, held []spool.Recipient) (time.Time, error) {
	var first time.Time
	for _, r := range held {
		if r.Reason != spool.ByHand {
			return m.Received, nil
		}
		e, err := q.lastHeldByHand(ctx, m, r)
		if err != nil {
			return time.Time{}, err
		}
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
	}
	return first, nil
}

// notYetOver returns the recipients that were held by hand for less than most.
func (q *Quarantine) notYetOver(ctx context.Context, m *spool.Message, most time.Duration) (map[mail.Address]bool, error) {
	early := map[mail.Address]bool{}
	for _, r := range m.In(spool.Held) {
		if r.Reason != spool.ByHand {
			continue
		}
		since, err := q.began(ctx, m, []spool.Recipient{r})
		if err != nil {
			return nil, err
		}
		early[r.Address] = q.o.Now().Sub(since) < most
	}
	return early, nil
}
