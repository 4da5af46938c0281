package quarantine

import (
	"context"
	"errors"
	"fmt"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// settle records the answers: delivered, or held again.
func (q *Quarantine) settle(m *spool.Message, results []spool.Handover, claim spool.Move) (*Released, error) {
	var failures []error
	byAnswer := map[string][]mail.Address{}
	for _, h := range results {
		if h.Err == nil {
			byAnswer[h.Answer] = append(byAnswer[h.Answer], h.Recipient)
			continue
		}
		failures = append(failures, fmt.Errorf("<%s>: %w: %w", h.Recipient, ErrNotTaken, h.Err))
		failures = append(failures, q.putBack(m.ID, []mail.Address{h.Recipient}, claim.Actor, h))
	}
	for answer, to := range byAnswer {
		failures = append(failures, q.delivered(m, to, claim, answer))
	}
	return viewReleased(m.ID, results), errors.Join(failures...)
}

// delivered records that the next server took a message for some of those a claim
// is about. However slow the disk is, the store must hear of it: the message is gone.
func (q *Quarantine) delivered(m *spool.Message, to []mail.Address, claim spool.Move, answer string) error {
	move := spool.Move{
		ID: m.ID, To: to, From: spool.Queued, Into: spool.Delivered, Actor: claim.Actor, Where: answer, At: q.o.Now(),
	}
	for _, a := range to {
		move.Each = append(move.Each, spool.Found{Reason: claim.Of(a).Reason})
	}
	if err := q.store.Move(context.Background(), move); err != nil {
		return fmt.Errorf("record the delivery of %s: %w", m.ID, err)
	}
	q.o.Count("delivered", len(to))
	q.o.Logger.Info("released", "id", m.ID, "from", m.Envelope.From.String(), "to", joinAddresses(to), "actor", claim.Actor, "reply", answer)
	return nil
}

// releaseFailed begins the log's reason of a release that the next server didn't
// take.
const releaseFailed = "release failed: "

// putBack holds recipients again whose release failed.
func (q *Quarantine) putBack(id string, to []mail.Address, actor string, failed spool.Handover) error {
	q.o.Count("failed", len(to))
	return q.holdAgain(spool.Move{
		ID: id, To: to, Actor: actor, Reason: releaseFailed + failed.Err.Error(), Where: failed.Reply,
	})
}

// holdAgain takes back a claim; move says whose, and why.
func (q *Quarantine) holdAgain(move spool.Move) error {
	move.From, move.Into, move.At = spool.Queued, spool.Held, q.o.Now()
	if err := q.store.Move(context.Background(), move); err != nil {
		return fmt.Errorf("hold %s again: %w", move.ID, err)
	}
	return nil
}
