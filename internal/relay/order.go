package relay

import (
	"context"
	"fmt"
	"slices"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// ErrDelivering: the recipients are being delivered right now, so that nothing else
// can be done with them.
var ErrDelivering = spool.ErrDelivering

// Order is somebody's wish about a message in the queue.
type Order struct {
	ID     string
	To     []mail.Address // recipients; empty: all that it can be about
	Actor  string
	Reason string
}

// conflict is an ErrConflict that says what state a recipient is in.
type conflict string

func (c conflict) Error() string { return string(c) }
func (conflict) Unwrap() error   { return spool.ErrConflict }

// Hold keeps queued recipients back, and returns which. They aren't delivered any
// more, nor let go by the re-check or by a start: a reviewer releases or discards
// them. ErrDelivering, and nothing is held, if one of them is being delivered;
// ErrConflict if one isn't queued.
func (e *Engine) Hold(ctx context.Context, o Order) ([]mail.Address, error) {
	_, list, err := e.find(ctx, o, isInQueue)
	if err != nil {
		return nil, err
	}
	if err := e.hold(ctx, o, list, o.Reason); err != nil {
		return nil, fmt.Errorf("hold %s: %w", o.ID, err)
	}
	e.log.InfoContext(ctx, "held by hand", "id", o.ID, "to", addressesOf(list), "actor", o.Actor, "reason", o.Reason)
	return addressesOf(list), nil
}

// hold moves queued recipients. What was predicted of them says nothing any more.
func (e *Engine) hold(ctx context.Context, o Order, list []spool.Recipient, why string) error {
	if len(list) == 0 {
		return nil
	}
	return e.o.Messages.Move(ctx, spool.Move{
		ID: o.ID, To: addressesOf(list), From: spool.Queued, Into: spool.Held, Actor: o.Actor, Reason: why,
		Now: &spool.Hold{Reason: spool.ByHand}, At: e.o.Now(),
	})
}

// find returns the recipients that an order is about.
func (e *Engine) find(ctx context.Context, o Order, fits func(spool.Recipient) bool) (*spool.Message, []spool.Recipient, error) {
	m, err := e.o.Messages.Get(ctx, o.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("message %s: %w", o.ID, err)
	}
	for _, a := range o.To {
		if !slices.Contains(addressesOf(m.Recipients), a) {
			return nil, nil, fmt.Errorf("%s has no recipient <%s>: %w", o.ID, a, spool.ErrNotFound)
		}
	}
	var list []spool.Recipient
	for _, r := range m.Recipients {
		named := slices.Contains(o.To, r.Address)
		switch {
		case !named && len(o.To) > 0:
		case fits(r):
			list = append(list, r)
		case named:
			return nil, nil, conflict(fmt.Sprintf("<%s> of %s is not in the relay's queue: it is %s", r.Address, o.ID, stateOf(r)))
		}
	}
	if len(list) == 0 {
		r := m.Recipients[0]
		return nil, nil, conflict(fmt.Sprintf("no recipient of %s is in the relay's queue: <%s> is %s", o.ID, r.Address, stateOf(r)))
	}
	return m, list, nil
}

func stateOf(r spool.Recipient) string {
	if r.State == spool.Queued {
		return "on its way back to the MTA"
	}
	return string(r.State)
}

// isInQueue reports whether our relay delivers a recipient.
func isInQueue(r spool.Recipient) bool { return r.State == spool.Queued && !r.Delivery.Next.IsZero() }

func addressesOf(list []spool.Recipient) []mail.Address {
	addresses := make([]mail.Address, len(list))
	for i, r := range list {
		addresses[i] = r.Address
	}
	return addresses
}
