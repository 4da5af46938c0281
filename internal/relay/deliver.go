package relay

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// worker serves one destination over one connection at a time.
type worker struct {
	e       *Engine
	domain  mail.Domain
	lane    *lane
	session *session
	blocked *trouble  // why no connection is made any more in this run
	until   time.Time // with blocked: when one may be made again

	settling sync.WaitGroup
}

// serve delivers what is due at a destination, until nothing is or it must be left in
// peace. An error says that the queue can't be written.
func (e *Engine) serve(ctx context.Context, d mail.Domain, in *lane) error {
	w := &worker{e: e, domain: d, lane: in}
	defer w.leave()
	for ctx.Err() == nil {
		now := e.o.Now()
		claims, err := e.o.Queue.Claim(ctx, d, now, now.Add(lease), claimSize)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err // d gets no other worker before the fault has begun
		}
		e.lanes.claimed(d)
		if len(claims) == claimSize {
			e.Kick() // there may be work for another
		}
		rest := w.work(ctx, claims)
		w.settling.Wait()
		if ctx.Err() == nil && w.paused() {
			return w.pause(ctx, rest)
		}
		if len(rest) > 0 {
			return w.giveBack(ctx, rest)
		}
		if len(claims) < claimSize {
			break
		}
	}
	return nil
}

// work brings claims to their end, and returns those that it doesn't begin: the
// destination is paused, or too little is left of the lease.
func (w *worker) work(ctx context.Context, claims []*spool.Claim) []*spool.Claim {
	var rest []*spool.Claim
	for i, c := range claims {
		if ctx.Err() != nil || c.Until.Sub(w.e.o.Now()) < lease/2 {
			return append(rest, claims[i:]...)
		}
		if i > 0 && w.paused() && !c.Message.TLSReport {
			rest = append(rest, c)
			continue
		}
		w.deliver(ctx, c)
	}
	return rest
}

// giveBack has others claim what this worker won't deliver. At a stop it is the next
// start that does.
func (w *worker) giveBack(ctx context.Context, claims []*spool.Claim) error {
	if len(claims) == 0 || ctx.Err() != nil {
		return nil
	}
	return w.e.o.Queue.Unclaim(ctx, claims...)
}

// leave parks the connection for whoever comes next.
func (w *worker) leave() {
	w.settling.Wait()
	if w.session != nil {
		w.e.parked.park(w.session.opening.key(), w.session)
	}
}

// deliver brings one claim to its end. What came of it is recorded while the next
// message goes out: the store does several such records with one fsync.
func (w *worker) deliver(ctx context.Context, c *spool.Claim) {
	w.e.o.CrashPoint("deliver-claimed")
	fates := make([]*fate, len(c.Message.Recipients))
	for i, r := range c.Message.Recipients {
		fates[i] = &fate{to: r}
	}
	if !w.e.guard(ctx, c.Message.ID, func() { w.try(ctx, c, fates) }) {
		w.drop()
		w.meet(fates, internalFault())
	}
	w.e.o.CrashPoint("deliver-answered")
	if ctx.Err() != nil { // broken off: what has no answer is tried again at the next start
		fates = only(fates, func(f *fate) bool { return f.outcome != "" && f.outcome != deferred })
	}
	w.e.guard(ctx, c.Message.ID, func() { w.e.learn(ctx, c.Message, fates) })
	w.settling.Go(func() { w.e.settleGuarded(ctx, c, fates) })
}

// try decides the fates of a claim.
func (w *worker) try(ctx context.Context, c *spool.Claim, fates []*fate) {
	w.e.holdDistrusted(ctx, c.Message, fates)
	limit, cancel := context.WithDeadlineCause(ctx, time.Now().Add(c.Until.Sub(w.e.o.Now())-leaseMargin), errSlow)
	defer cancel()
	if len(open(fates)) > 0 {
		w.send(limit, c.Message, fates)
	}
}

// drop gives the connection up in whatever state it is.
func (w *worker) drop() {
	if w.session != nil {
		w.session.close()
		w.session = nil
	}
}

// hangUp ends the connection in order.
func (w *worker) hangUp() {
	if w.session != nil {
		w.session.quit()
		w.session = nil
	}
}

// send decides the fates that are open.
func (w *worker) send(ctx context.Context, m *spool.Message, fates []*fate) {
	if why := w.barred(); why != nil && (why.permanent || !m.TLSReport) {
		w.meet(fates, w.forMessage(ctx, m, why))
		return
	}
	p, err := w.e.pack(ctx, w.e.settings(), m)
	if err != nil {
		w.e.log.ErrorContext(ctx, "can't get a message ready to be sent", "id", m.ID, "error", err)
		w.meet(fates, later("4.3.0", "mailgate can't get the message ready: %v", err))
		return
	}
	defer p.close()
	for rest := open(fates); len(rest) > 0; {
		why := w.transaction(ctx, m, p, rest[:min(len(rest), maxRecipients)])
		if why != nil {
			for _, f := range fates {
				f.until = w.until
			}
			w.meet(fates, w.forMessage(ctx, m, why))
			return
		}
		before := len(rest)
		if rest = open(fates); len(rest) == before {
			w.meet(fates, later("4.4.2", "%s gave no answer", w.domain))
		}
	}
}

// meet has the open fates share a trouble. While the destination is paused, they are
// not tried again.
func (w *worker) meet(fates []*fate, t *trouble) {
	for _, f := range open(fates) {
		f.meet(t)
		f.until = w.until
	}
}

// transaction gives a message to some recipients. A trouble is that of all of them
// that have no answer.
func (w *worker) transaction(ctx context.Context, m *spool.Message, p *parcel, fates []*fate) *trouble {
	for {
		if why := w.connectFor(ctx, m); why != nil {
			return why
		}
		s := w.session
		if why := s.unfit(p); why != nil {
			why.host, why.tls = s.host, s.tls
			return why
		}
		err := s.transact(ctx, m, p, fates, w.e.o.CrashPoint)
		if err == nil && m.TLSReport {
			w.hangUp()
			return nil
		}
		if err == nil {
			w.e.lanes.works(w.lane, w.e.o.Now())
			return nil
		}
		w.drop()
		if !errors.Is(err, errStale) {
			return w.verdict(ctx, m, s, err)
		}
	}
}

// verdict says what the end of a session means for what it left open.
func (w *worker) verdict(ctx context.Context, m *spool.Message, s *session, err error) *trouble {
	why := later("4.4.2", "%s: %v", s.host, cmp.Or(context.Cause(ctx), err))
	switch {
	case closing(err) != nil: // 421
		why.words, why.answered = replyWords(err), true
		w.fail(ctx, why)
	case errors.Is(err, ErrUnanswered):
		w.e.log.WarnContext(ctx, "a server may have taken a message: its answer to the final dot didn't come. It is sent again, and may arrive twice",
			"id", m.ID, "domain", w.domain, "host", s.host, "error", err)
	case errors.Is(err, errContent):
		why.status = "4.3.0"
	}
	why.host, why.tls = s.host, s.tls
	return why
}

// connect makes sure that there is a session. A trouble that isn't permanent pauses
// the destination; one that is holds for what else is claimed in this run.
func (w *worker) connect(ctx context.Context) *trouble {
	s := w.e.settings()
	if w.session == nil {
		w.session = w.e.parked.take(w.lane.key)
	}
	if w.session != nil && w.session.sent < s.MessagesPerConnection && w.e.fits(ctx, s, w.session, w.domain) {
		return nil
	}
	w.hangUp()
	session, why := w.e.reach(ctx, s, w.domain, false)
	switch {
	case why == nil:
		w.session = session
	case why.permanent:
		w.blocked = why
	case ctx.Err() == nil:
		w.fail(ctx, why)
	}
	return why
}
