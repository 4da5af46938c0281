package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// GivenUp is what came of an order to give up.
type GivenUp struct {
	To   []mail.Address
	Told mail.Address // who gets a report: the sender, or the postmaster for him; null: nobody
}

// giveUpTime bounds an order to give up once it is begun: its client may go away.
const giveUpTime = time.Minute

// GiveUp ends what is queued, or held by hand: it is not delivered, and the sender is
// told so, with o.Reason, if he wants to hear of failures. Mail without a sender is
// reported as a failed delivery of it is. ErrDelivering and ErrConflict are as with
// Hold.
//
// It goes queued, held by hand, report in custody, bounced. Whoever moves what is held
// must ask Moving, so that nobody lets it go in between. After a crash there it is held
// by hand, delivered to nobody, and can be given up again; the report may then be sent
// twice.
func (e *Engine) GiveUp(ctx context.Context, o Order) (*GivenUp, error) {
	done, err := e.deciding.give(o.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	m, list, err := e.find(ctx, o, func(r spool.Recipient) bool { return isInQueue(r) || isHeldByHand(r) })
	if err != nil {
		return nil, err
	}
	queued := slices.DeleteFunc(slices.Clone(list), isHeldByHand)
	if err := e.hold(ctx, o, queued, "to be given up: "+o.Reason); err != nil {
		return nil, fmt.Errorf("give up %s: %w", o.ID, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	s := e.settings()
	told, err := e.send(ctx, s, m, notice.Failed, toldOfFailure(givenUp(s, list, o.Reason)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("give up %s: %w", o.ID, err), e.requeue(ctx, m, o, queued))
	}
	where := ""
	if !told.IsNull() {
		where = "reported to <" + told.String() + ">"
	}
	err = e.o.Messages.Move(ctx, spool.Move{
		ID: o.ID, To: addressesOf(list), From: spool.Held, Into: spool.Bounced, Actor: o.Actor, Reason: o.Reason, Where: where, At: e.o.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("record that %s is given up (%s): %w", o.ID, where, err)
	}
	e.log.InfoContext(ctx, "given up by hand", "id", o.ID, "from", m.Envelope.From, "to", addressesOf(list), "actor", o.Actor, "reason", o.Reason, "told", told)
	return &GivenUp{To: addressesOf(list), Told: told}, nil
}

func isHeldByHand(r spool.Recipient) bool { return r.State == spool.Held && r.Reason == spool.ByHand }

// givenUp are the fates of recipients that somebody gives up.
func givenUp(s Settings, list []spool.Recipient, why string) []*fate {
	fates := make([]*fate, len(list))
	for i, r := range list {
		fates[i] = &fate{
			to: r, outcome: bounced, byHand: true, words: r.Delivery.Answer,
			why: fmt.Sprintf("An administrator of %s gave it up, saying: %s", s.Hostname, why),
		}
	}
	return fates
}

// requeue takes back the hold of what can't be given up: it goes on as it was, with
// the time it had left.
func (e *Engine) requeue(ctx context.Context, m *spool.Message, o Order, list []spool.Recipient) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime) // the order's time may be over
	defer cancel()
	var failures []error
	for _, alike := range asTheyWere(m, list) {
		move := spool.Move{
			ID: o.ID, To: addressesOf(alike), From: spool.Held, Into: spool.Queued, Actor: o.Actor,
			Reason: "it could not be given up", Next: alike[0].Delivery.Next, Changed: since(m, &alike[0]), At: e.o.Now(),
		}
		for _, r := range alike {
			move.Each = append(move.Each, spool.Found{Verdict: r.Delivery.Expected})
		}
		if err := e.o.Messages.Move(ctx, move); err != nil {
			failures = append(failures, fmt.Errorf("%s stays held by hand: put it back into the queue: %w", o.ID, err))
		}
	}
	e.Kick()
	return errors.Join(failures...)
}

// asTheyWere puts recipients together that were queued for the same time and since
// the same time.
func asTheyWere(m *spool.Message, list []spool.Recipient) [][]spool.Recipient {
	at := map[[2]int64]int{}
	var groups [][]spool.Recipient
	for _, r := range list {
		key := [2]int64{r.Delivery.Next.UnixNano(), since(m, &r).UnixNano()}
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
