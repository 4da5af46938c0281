package quarantine

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	actorRecheck = "recheck" // actor of moves no person made
	groupPage    = 200       // messages of one group read at a time
	movesAside   = 16        // new verdicts written at the same time: the store commits them together
)

// errAway: the next server gives no answer, and would give none to the next message.
var errAway = errors.New("the next server gives no answer")

// walk goes through the messages of groups of one identity, oldest first.
type walk struct {
	q       *Quarantine
	sum     *sum
	afresh  bool                    // DNS was asked; otherwise it only goes on to send
	group   spool.GroupKey          // walked on now
	crowded map[spool.GroupKey]bool // something passes for which there was no room yet
}

func (w *walk) crowd(g spool.GroupKey) {
	if w.crowded == nil {
		w.crowded = map[spool.GroupKey]bool{}
	}
	w.crowded[g] = true
}

// pages calls do with the messages of a group, a page at a time, until it says
// that the next page isn't worth reading.
func (w *walk) pages(ctx context.Context, g spool.GroupKey, do func(ids []string) (bool, error)) error {
	w.group = g
	after := ""
	for {
		ids, err := w.q.store.GroupIDs(ctx, g, after, groupPage)
		if err != nil {
			return fmt.Errorf("list held mail from %s: %w", g.From, err)
		}
		if len(ids) == 0 {
			return nil
		}
		if goOn, err := do(ids); err != nil || !goOn {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// release sends a group that passes. A page for which there is no room ends it.
func (w *walk) release(ctx context.Context, g spool.GroupKey) error {
	return w.sendAll(ctx, g, func(sent, full int) bool { return sent > 0 || full == 0 })
}

// releaseSome sends of a group what passes. A page of which nothing leaves ends it:
// it is for the check that asks DNS to look for more.
func (w *walk) releaseSome(ctx context.Context, g spool.GroupKey) error {
	return w.sendAll(ctx, g, func(sent, _ int) bool { return sent > 0 })
}

// sendAll sends messages of a group as long as goOn says that, with so many sent of
// a page and so many that had no room, the next is worth reading.
func (w *walk) sendAll(ctx context.Context, g spool.GroupKey, goOn func(sent, full int) bool) error {
	if !w.q.o.Policy().AutoRelease {
		return nil
	}
	return w.pages(ctx, g, func(ids []string) (bool, error) {
		sent, full := 0, 0
		for _, id := range ids {
			if isKnown(g.Provider) && w.noRoom(g.Provider) {
				w.crowd(g)
				return false, nil // nor is there for any other of the group
			}
			did, err := w.sendOne(ctx, id)
			if err != nil {
				return false, err
			}
			switch did {
			case didSend:
				sent++
			case hadNoRoom:
				full++
			}
		}
		return goOn(sent, full), nil
	})
}

func (w *walk) noRoom(to ...string) bool {
	return w.q.pace.wait(w.q.o.Policy().ReleaseRate, to, w.q.o.Now()) > 0
}

// judgeEach judges a group recipient by recipient, counts them, brings their
// verdicts up to date and sends what passes.
func (w *walk) judgeEach(ctx context.Context, g spool.GroupKey) error {
	return w.judgePages(ctx, g, true)
}

// judgeEachAgain is judgeEach for a group that is counted already.
func (w *walk) judgeEachAgain(ctx context.Context, g spool.GroupKey) error {
	return w.judgePages(ctx, g, false)
}

func (w *walk) judgePages(ctx context.Context, g spool.GroupKey, count bool) error {
	verdicts := map[mail.Domain]gate.Recipient{} // a verdict depends on no more than the domain
	return w.pages(ctx, g, func(ids []string) (bool, error) {
		messages, err := w.read(ctx, ids)
		if err != nil || len(messages) == 0 {
			return err == nil, err
		}
		if w.judgeNew(ctx, messages, verdicts); ctx.Err() != nil {
			return false, ctx.Err()
		}
		if count {
			w.count(g, messages, verdicts)
		}
		if err := w.assessAll(ctx, messages, verdicts); err != nil {
			return false, err
		}
		return true, w.sendPassing(ctx, messages, verdicts)
	})
}

func (w *walk) read(ctx context.Context, ids []string) ([]*spool.Message, error) {
	var messages []*spool.Message
	for _, id := range ids {
		m, err := w.q.store.Get(ctx, id)
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", id, err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// judgeNew adds the verdicts that a page needs and that aren't there yet, all at
// once, since DNS may be slow for many of the recipients' domains.
func (w *walk) judgeNew(ctx context.Context, messages []*spool.Message, verdicts map[mail.Domain]gate.Recipient) {
	var one []mail.Address // of each new domain
	for _, m := range messages {
		for _, r := range heldByDNS(m) {
			if _, there := verdicts[r.Address.Domain]; !there {
				verdicts[r.Address.Domain] = gate.Recipient{}
				one = append(one, r.Address)
			}
		}
	}
	if len(one) == 0 {
		return
	}
	for _, r := range w.q.judge(ctx, messages[0], one).Recipients {
		verdicts[r.Address.Domain] = r
	}
}

func (w *walk) count(g spool.GroupKey, messages []*spool.Message, verdicts map[mail.Domain]gate.Recipient) {
	w.sum.add(func(s *Rechecked) {
		for _, m := range messages {
			for _, r := range heldByDNS(m) {
				if keyOf(m, r) == g {
					s.judged(verdicts[r.Address.Domain], 1)
				}
			}
		}
	})
}

func (w *walk) assessAll(ctx context.Context, messages []*spool.Message, verdicts map[mail.Domain]gate.Recipient) error {
	var moves errgroup.Group
	moves.SetLimit(movesAside)
	for _, m := range messages {
		moves.Go(func() error {
			held := heldByDNS(m)
			now := make([]gate.Recipient, len(held))
			for i, r := range held {
				now[i] = verdicts[r.Address.Domain]
				now[i].Address = r.Address
			}
			err := w.q.assess(ctx, m, held, now)
			if errors.Is(err, spool.ErrConflict) || errors.Is(err, spool.ErrNotFound) {
				return nil // a reviewer was first
			}
			return err
		})
	}
	return moves.Wait()
}
