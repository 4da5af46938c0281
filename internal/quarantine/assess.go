package quarantine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// assess writes down changed verdicts on held recipients, in the store and in m and
// held, so that "waiting for DNS" and "would be refused" stay apart and a list names
// today's finding. What passes keeps what it was held for until it leaves; who
// receives it is taken down, so that one verdict decides for all like it.
func (q *Quarantine) assess(ctx context.Context, m *spool.Message, held []spool.Recipient, verdicts []gate.Recipient) error {
	for i, v := range verdicts {
		now := holdOf(v, held[i])
		if !same(now, held[i]) {
			if err := q.holdFor(ctx, m, v, now); err != nil {
				return err
			}
			held[i].Reason, held[i].Rule, held[i].Codes, held[i].Reply = now.Reason, now.Rule, now.Codes, now.Reply
			held[i].Provider = cmp.Or(now.Provider, held[i].Provider)
			put(m, held[i])
		}
		q.known.remember(placeOf(m, held[i]), v, q.o.Now())
	}
	return nil
}

// holdFor has a recipient held for something else from now on.
func (q *Quarantine) holdFor(ctx context.Context, m *spool.Message, v gate.Recipient, now spool.Hold) error {
	reason := "verdict changed"
	if v.Disposition == gate.Pass {
		reason = "DNS tells its provider: " + now.Provider
	}
	err := q.store.Move(ctx, spool.Move{
		ID: m.ID, To: []mail.Address{v.Address}, From: spool.Held, Into: spool.Held,
		Actor: actorRecheck, Reason: reason, Codes: v.Prediction.Codes,
		Verdict: string(v.Prediction.Verdict), Now: &now, At: q.o.Now(),
	})
	if err != nil {
		return fmt.Errorf("note the new verdict on %s: %w", m.ID, err)
	}
	return nil
}

// put has m know a recipient as it is now.
func put(m *spool.Message, r spool.Recipient) {
	for i := range m.Recipients {
		if m.Recipients[i].Address == r.Address {
			m.Recipients[i] = r
		}
	}
}

// holdOf is what a recipient with this verdict is held for. A provider once found
// stays while DNS doesn't tell it.
func holdOf(v gate.Recipient, r spool.Recipient) spool.Hold {
	provider := v.Prediction.Provider
	if provider == preflight.UnknownProvider {
		provider = ""
	}
	if v.Disposition == gate.Pass {
		return spool.Hold{Reason: r.Reason, Provider: string(provider), Codes: r.Codes, Rule: r.Rule, Reply: r.Reply}
	}
	return spool.Hold{
		Reason:   spool.Reason(v.Cause),
		Provider: string(provider),
		Codes:    v.Prediction.Codes,
		Rule:     v.Prediction.Rule,
		Reply:    v.Prediction.Reply,
	}
}

func same(now spool.Hold, r spool.Recipient) bool {
	return (now.Provider == "" || now.Provider == r.Provider) && now.Reason == r.Reason && now.Rule == r.Rule && slices.Equal(now.Codes, r.Codes)
}
