package relay

import (
	"context"
	"runtime/debug"

	"mailgate/internal/spool"
)

// guard does something for a message. A panic costs that message a try, and not the
// gateway its life, again at every start.
func (e *Engine) guard(ctx context.Context, id string, do func()) (fine bool) {
	defer func() {
		if v := recover(); v != nil {
			e.log.ErrorContext(ctx, "relay: panic", "id", id, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	do()
	return true
}

// internalFault is what the queue says of such a message.
func internalFault() *trouble {
	return later("4.3.0", "an internal fault of mailgate keeps the message from being sent: its log has the details")
}

// settleGuarded settles, and where that panics, records what can be told without more
// ado: what was delivered, and that the rest is tried again.
func (e *Engine) settleGuarded(ctx context.Context, c *spool.Claim, fates []*fate) {
	if e.guard(ctx, c.Message.ID, func() { e.settle(ctx, c, fates) }) {
		return
	}
	e.guard(ctx, c.Message.ID, func() {
		s, why := e.settings(), internalFault()
		results := make([]spool.Result, len(fates))
		for i, f := range fates {
			results[i] = spool.Result{Recipient: f.to.Address, Into: spool.Delivered, Answer: f.words, Host: f.host, TLS: f.tls}
			if f.outcome != delivered {
				results[i] = spool.Result{Recipient: f.to.Address, Into: spool.Queued, Answer: why.words, Next: s.next(c.Message, &f.to, e.o.Now(), f.until)}
			}
		}
		if err := e.record(context.WithoutCancel(ctx), ctx, c, results); err != nil {
			e.log.ErrorContext(ctx, "can't record what came of a delivery: it may be repeated", "id", c.Message.ID, "domain", c.Destination, "error", err)
		}
	})
}
