package quarantine

import (
	"context"
	"fmt"
	"io"

	"mailgate/internal/gate"
	"mailgate/internal/spool"
)

// Item is one message in a list, with what would become of it now.
type Item struct {
	Message *spool.Message
	Now     gate.Verdict // on its held recipients; empty when none is held
}

// List returns messages with the verdict now, from memory where it may be.
func (q *Quarantine) List(ctx context.Context, f spool.Filter) ([]Item, error) {
	messages, err := q.store.List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list held mail: %w", err)
	}
	items := make([]Item, len(messages))
	for i, m := range messages {
		items[i] = q.item(ctx, m)
	}
	return items, nil
}

// Show returns one message, the verdict now, and its review log.
func (q *Quarantine) Show(ctx context.Context, id string) (Item, []spool.LogEntry, error) {
	m, err := q.store.Get(ctx, id)
	if err != nil {
		return Item{}, nil, fmt.Errorf("find %s: %w", id, err)
	}
	log, err := q.store.Log(ctx, spool.LogFilter{ID: id})
	if err != nil {
		return Item{}, nil, fmt.Errorf("read the review log of %s: %w", id, err)
	}
	return q.item(ctx, m), log, nil
}

func (q *Quarantine) item(ctx context.Context, m *spool.Message) Item {
	item := Item{Message: m}
	if held := addresses(m.In(spool.Held)); len(held) > 0 {
		item.Now = q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, held)
	}
	return item
}

// Raw opens the original bytes of a message.
func (q *Quarantine) Raw(ctx context.Context, id string) (io.ReadCloser, error) {
	return q.store.Open(ctx, id)
}

// Discard throws away what is held of a message. Nobody is told.
func (q *Quarantine) Discard(ctx context.Context, r Request) error {
	m, to, err := q.heldRecipients(ctx, r)
	if err != nil {
		return err
	}
	move := spool.Move{ID: m.ID, To: to, From: spool.Held, Into: spool.Discarded, Actor: r.Actor, Reason: r.Reason, At: q.o.Now()}
	if err := q.store.Move(ctx, move); err != nil {
		return fmt.Errorf("discard %s: %w", m.ID, err)
	}
	q.o.Logger.Info("discarded", "id", m.ID, "actor", r.Actor, "reason", r.Reason)
	return nil
}

// Counts returns how many recipients are in each state.
func (q *Quarantine) Counts(ctx context.Context) (spool.Counts, error) { return q.store.Count(ctx) }
