package quarantine

import (
	"context"
	"fmt"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Relay is our own way out: a message that it takes isn't handed over, but stays in
// the store, queued, and the relay delivers it from there, signed afresh.
type Relay interface {
	// Takes reports whether the relay delivers m once it is released.
	Takes(m *spool.Message) bool
	// Moving keeps the relay from giving a message up by hand until done is called. ErrConflict
	// while it does that: the sender may have been told so already.
	Moving(id string) (done func(), err error)
	// Trust has the relay try what it holds again by itself, as the provider refused the
	// like of it: a reviewer sends m to these recipients all the same. It is told so
	// before they come into its queue, lest it finds them there and doesn't know.
	Trust(ctx context.Context, m *spool.Message, to []mail.Address)
	// Kick tells that something came into the relay's queue.
	Kick()
}

// inRelay is the answer for what the relay has.
const inRelay = "queued for delivery by mailgate's relay"

func (q *Quarantine) relayTakes(m *spool.Message) bool { return q.o.Relay != nil && q.o.Relay.Takes(m) }

// queue gives the recipients of a claim to the relay. With this one move the release
// is complete: after a crash they are found in the queue.
func (q *Quarantine) queue(ctx context.Context, m *spool.Message, claim spool.Move, anyway bool) (*Released, error) {
	claim.Next = claim.At
	if anyway {
		q.o.Relay.Trust(ctx, m, claim.To)
	}
	if err := q.leave(ctx, claim); err != nil {
		return nil, fmt.Errorf("release %s: %w", m.ID, err)
	}
	q.o.Count("queued", len(claim.To))
	q.o.Logger.Info("released", "id", m.ID, "from", m.Envelope.From.String(), "to", joinAddresses(claim.To), "actor", claim.Actor, "reply", inRelay)
	results := make([]spool.Handover, len(claim.To))
	for i, to := range claim.To {
		results[i] = spool.Handover{Recipient: to, Answer: inRelay}
	}
	q.o.Relay.Kick()
	return viewReleased(m.ID, results), nil
}
