package quarantine

import (
	"context"
	"fmt"
	"io"
	"slices"

	"mailgate/internal/gate"
	"mailgate/internal/spool"
)

// Errors a caller may decide on.
var (
	ErrNotFound = spool.ErrNotFound
	ErrConflict = spool.ErrConflict // somebody else moved it first
	ErrStopped  = spool.ErrStopped
)

// List returns a page of messages, each with the last verdict on it. It never asks
// DNS.
func (q *Quarantine) List(ctx context.Context, query Query) (*Page, error) {
	filter, err := query.filter()
	if err != nil {
		return nil, err
	}
	messages, err := q.store.List(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	page := &Page{Messages: make([]Message, len(messages))}
	for i, m := range messages {
		page.Messages[i] = q.listed(m, filter)
	}
	if len(messages) == filter.Limit {
		page.Next = messages[len(messages)-1].ID
	}
	page.Counts, err = q.Counts(ctx)
	return page, err
}

// listed shows a message of a list, and marks the recipients it is listed for.
func (q *Quarantine) listed(m *spool.Message, f spool.Filter) Message {
	view := viewMessage(m, q.known.lookUp(m), func(r spool.Recipient) string {
		alone := *m
		alone.Recipients = []spool.Recipient{r}
		return q.known.lookUp(&alone).now
	})
	for i, r := range m.Recipients {
		view.Recipients[i].Selected = selects(f, r)
	}
	view.Note = q.noReturn(m, view)
	return view
}

// Show returns one message with the verdict now and its review log.
func (q *Quarantine) Show(ctx context.Context, id string) (*Detail, error) {
	m, err := q.store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", id, err)
	}
	log, err := q.Log(ctx, LogQuery{ID: id, Limit: MaxPage})
	if err != nil {
		return nil, err
	}
	slices.Reverse(log.Entries)
	verdict := q.judgeHeld(ctx, m)
	detail := &Detail{
		Message: viewMessage(m, summary(verdict, q.o.Now()), wordIn(verdict)), Then: m.Evidence, Report: verdict.Report,
		AutoRelease: q.o.Policy().AutoRelease, Log: log.Entries, LogNext: log.Next,
	}
	if detail.Now == string(spool.ByHand) {
		if detail.Why, err = q.whyByHand(ctx, m); err != nil {
			return nil, err
		}
	}
	detail.Note = q.noReturn(m, detail.Message)
	header, there, err := q.header(ctx, id)
	if err != nil {
		return nil, err
	}
	detail.Header, detail.Body = headerText(header), there
	if detail.Report != nil {
		detail.Publish = q.o.Publish(ctx, detail.Report)
	}
	return detail, nil
}

// wordIn finds the verdict on one recipient.
func wordIn(v gate.Verdict) func(spool.Recipient) string {
	return func(r spool.Recipient) string {
		for _, judged := range v.Recipients {
			if judged.Address == r.Address {
				word, _ := wordOf(judged)
				return word
			}
		}
		return ""
	}
}

// judgeHeld judges what is held of a message now.
func (q *Quarantine) judgeHeld(ctx context.Context, m *spool.Message) gate.Verdict {
	held := m.In(spool.Held)
	if len(held) == 0 {
		return gate.Verdict{}
	}
	return keepByHand(m, q.judge(ctx, m, addresses(held)))
}

// Raw opens the original bytes of a message.
func (q *Quarantine) Raw(ctx context.Context, id string) (io.ReadCloser, error) {
	content, err := q.store.Open(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("original of message %s: %w", id, err)
	}
	return content, nil
}

// Discard throws away what is held of a message. Nobody is told.
func (q *Quarantine) Discard(ctx context.Context, r Request) error {
	m, to, err := q.heldRecipients(ctx, r)
	if err != nil {
		return err
	}
	move := spool.Move{ID: m.ID, To: to, From: spool.Held, Into: spool.Discarded, Actor: r.Actor, Reason: r.Reason, At: q.o.Now()}
	if err := q.leave(ctx, move); err != nil {
		return fmt.Errorf("discard %s: %w", m.ID, err)
	}
	q.o.Logger.Info("discarded", "id", m.ID, "actor", r.Actor, "reason", r.Reason)
	return nil
}

// Counts returns how many recipients are in each state, and what the held ones
// wait for.
func (q *Quarantine) Counts(ctx context.Context) (Counts, error) {
	c, err := q.store.Count(ctx)
	if err != nil {
		return Counts{}, fmt.Errorf("count recipients: %w", err)
	}
	return Counts{
		Held: c.States[spool.Held], Queued: c.States[spool.Queued], Delivered: c.States[spool.Delivered],
		Bounced: c.States[spool.Bounced], Discarded: c.States[spool.Discarded],
		Refused: c.Held[spool.Refused], Waiting: c.Held[spool.Waiting], Foreign: c.Held[spool.Foreign], ByHand: c.Held[spool.ByHand],
	}, nil
}
