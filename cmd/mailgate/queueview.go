package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// queueView implements web.Queue.
type queueView struct{ g *gateway }

func (v queueView) Destinations(ctx context.Context, limit int) ([]web.QueueDestination, error) {
	if limit == 0 {
		limit = math.MaxInt32
	}
	list, err := v.g.store.Destinations(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("sum up the queue: %w", err)
	}
	view := []web.QueueDestination{}
	for _, d := range list {
		view = append(view, web.QueueDestination{
			Domain: string(d.Domain), Queued: d.Queued, Leased: d.Leased, Oldest: d.Oldest, Next: d.Next,
			Tried: d.Tried, Answer: d.Answer, Host: d.Host, TLS: d.TLS,
		})
	}
	return view, nil
}

func (v queueView) Messages(ctx context.Context, destination, after string, limit int) ([]web.QueueMessage, error) {
	filter := spool.Filter{States: []spool.State{spool.Queued}, Limit: limit, After: after}
	fits := func(spool.Recipient) bool { return true }
	if destination != "" {
		d, err := domainQuery(destination)
		if err != nil {
			return nil, err
		}
		// The filter's part of an address is that of longer domains, too.
		filter.Recipient, filter.Limit = "@"+string(d), max(limit, queuePage)
		fits = func(r spool.Recipient) bool { return r.Address.Domain == d }
	}
	view := []web.QueueMessage{}
	for {
		list, err := v.g.store.List(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list the queue: %w", err)
		}
		for _, m := range list {
			if len(view) < limit && slices.ContainsFunc(m.In(spool.Queued), fits) {
				view = append(view, viewQueued(m))
			}
		}
		if len(view) >= limit || len(list) < filter.Limit {
			return view, nil
		}
		filter.After = list[len(list)-1].ID
	}
}

// queuePage is how many messages are read at once, of those that may be for a
// destination.
const queuePage = 200

func (v queueView) Message(ctx context.Context, id string) (web.QueueMessage, error) {
	m, err := v.g.store.Get(ctx, id)
	if err != nil {
		return web.QueueMessage{}, fmt.Errorf("message %s: %w", id, err)
	}
	return viewQueued(m), nil
}

func viewQueued(m *spool.Message) web.QueueMessage {
	view := web.QueueMessage{
		ID: m.ID, Received: m.Received, From: m.From.String(), Sender: m.Envelope.From.String(), Subject: m.Subject, Size: m.Size,
	}
	for _, r := range m.Recipients {
		d := r.Delivery
		view.Recipients = append(view.Recipients, web.QueueRecipient{
			Address: r.Address.String(), State: string(r.State), Next: d.Next, Tries: d.Tries, Tried: d.Tried,
			Answer: d.Answer, Host: d.Host, TLS: d.TLS, Expected: d.Expected,
		})
	}
	return view
}

var errRetryWhat = errors.New("give an id, a destination, or all, and only one of them")

func (v queueView) Retry(ctx context.Context, r web.QueueRetry) (int, error) {
	switch {
	case r.ID != "" && r.Destination == "" && !r.All:
		if _, err := v.g.store.Get(ctx, r.ID); err != nil {
			return 0, fmt.Errorf("message %s: %w", r.ID, err)
		}
		return v.g.engine.RetryMessage(ctx, r.ID)
	case r.ID == "" && r.Destination != "" && !r.All:
		d, err := domainQuery(r.Destination)
		if err != nil {
			return 0, err
		}
		return v.g.engine.Retry(ctx, d)
	case r == web.QueueRetry{All: true}:
		return v.g.engine.Retry(ctx, "")
	}
	return 0, fmt.Errorf("try again: %w: %w", quarantine.ErrQuery, errRetryWhat)
}

func domainQuery(s string) (mail.Domain, error) {
	d, err := mail.ParseDomain(s)
	if err != nil {
		return "", fmt.Errorf("destination %q: %w: %w", s, quarantine.ErrQuery, err)
	}
	return d, nil
}

func (v queueView) Predictions() relay.Predictions { return v.g.engine.Predictions() }

func (v queueView) Hold(ctx context.Context, o web.QueueOrder) (web.QueueHeld, error) {
	order, err := relayOrder(o)
	if err != nil {
		return web.QueueHeld{}, err
	}
	to, err := v.g.engine.Hold(ctx, order)
	return web.QueueHeld{ID: o.ID, Recipients: inWords(to)}, err
}

func (v queueView) GiveUp(ctx context.Context, o web.QueueOrder) (web.QueueGivenUp, error) {
	order, err := relayOrder(o)
	if err != nil {
		return web.QueueGivenUp{}, err
	}
	given, err := v.g.engine.GiveUp(ctx, order)
	if err != nil {
		return web.QueueGivenUp{}, err
	}
	return web.QueueGivenUp{ID: o.ID, Recipients: inWords(given.To), ReportTo: given.Told.String()}, nil
}

func relayOrder(o web.QueueOrder) (relay.Order, error) {
	order := relay.Order{ID: o.ID, Actor: o.Actor, Reason: o.Reason}
	for _, s := range o.Recipients {
		a, err := mail.ParsePath(s)
		if err != nil {
			return order, fmt.Errorf("recipient %q: %w: %w", s, quarantine.ErrQuery, err)
		}
		order.To = append(order.To, a)
	}
	return order, nil
}

func inWords(list []mail.Address) []string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return words
}
