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

// assess writes down changed verdicts on held recipients, so that "waiting for
// DNS" and "would be refused" stay apart and a list names today's finding. What
// passes keeps what it was held for until it leaves.
func (q *Quarantine) assess(ctx context.Context, m *spool.Message, held []spool.Recipient, verdicts []gate.Recipient) error {
	for i, v := range verdicts {
		now := holdOf(v)
		if v.Disposition == gate.Pass || same(now, held[i]) {
			continue
		}
		err := q.store.Move(ctx, spool.Move{
			ID: m.ID, To: []mail.Address{v.Address}, From: spool.Held, Into: spool.Held,
			Actor: actorRecheck, Reason: "verdict changed", Codes: now.Codes,
			Verdict: string(v.Prediction.Verdict), Now: &now, At: q.o.Now(),
		})
		if err != nil {
			return fmt.Errorf("note the new verdict on %s: %w", m.ID, err)
		}
		became := held[i]
		became.Reason, became.Rule, became.Codes = now.Reason, now.Rule, now.Codes
		became.Provider = cmp.Or(now.Provider, became.Provider)
		q.known.remember(keyOf(m, became), v, q.o.Now())
	}
	return nil
}

// holdOf is what a recipient with this verdict is held for. A provider once found
// stays while DNS doesn't tell it.
func holdOf(r gate.Recipient) spool.Hold {
	provider := r.Prediction.Provider
	if provider == preflight.UnknownProvider {
		provider = ""
	}
	return spool.Hold{
		Reason:   spool.Reason(r.Cause),
		Provider: string(provider),
		Codes:    r.Prediction.Codes,
		Rule:     r.Prediction.Rule,
		Reply:    r.Prediction.Reply,
	}
}

func same(now spool.Hold, r spool.Recipient) bool {
	return (now.Provider == "" || now.Provider == r.Provider) && now.Reason == r.Reason && now.Rule == r.Rule && slices.Equal(now.Codes, r.Codes)
}
