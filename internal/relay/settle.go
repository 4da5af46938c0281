package relay

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

// actor is who the review log names.
const actor = "relay"

// codeRefused stands for the finding that a receiver has made itself.
const codeRefused = "receiver-refused"

func replyWords(err error) string {
	if answer, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return replyOf(answer).String()
	}
	return err.Error()
}

// settle records the fates of a claim. A recipient that is given up is settled only
// once the report to its sender is in custody: a crash in between sends a second
// report, and never loses the message in silence.
func (e *Engine) settle(ctx context.Context, c *spool.Claim, fates []*fate) {
	stop := ctx
	ctx = context.WithoutCancel(ctx)
	s := e.settings()
	m := c.Message
	e.expire(s, m, fates)
	e.report(ctx, s, m, fates)
	if slices.ContainsFunc(fates, func(f *fate) bool { return f.outcome == bounced }) {
		e.o.CrashPoint("deliver-reported")
	}
	results := make([]spool.Result, len(fates))
	for i, f := range fates {
		results[i] = e.result(s, m, f)
	}
	together(s, m, fates, results)
	if err := e.record(ctx, stop, c, results); err != nil {
		e.log.ErrorContext(ctx, "can't record what came of a delivery: it may be repeated", "id", m.ID, "domain", c.Destination, "error", err)
	}
	e.o.CrashPoint("deliver-settled")
	for i, f := range fates {
		e.compare(m, f)
		e.o.Metrics.Delivery(string(f.outcome), f.tls)
		e.tell(ctx, m, f, results[i])
	}
}

// record settles, and goes on trying as long as the lease lasts where the store is
// only out of space or the like: what isn't recorded is delivered once more.
func (e *Engine) record(ctx, stop context.Context, c *spool.Claim, results []spool.Result) error {
	for wait := firstRecord; ; wait = min(2*wait, time.Minute) {
		err := e.o.Queue.Settle(ctx, c, actor, results)
		final := err == nil || errors.Is(err, spool.ErrConflict) || errors.Is(err, spool.ErrNotFound) ||
			errors.Is(err, spool.ErrTransition) || errors.Is(err, spool.ErrStopped)
		if final || !e.o.Now().Add(wait).Before(c.Until) {
			return err
		}
		e.log.WarnContext(ctx, "can't record what came of a delivery yet", "id", c.Message.ID, "error", err)
		select {
		case <-stop.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// firstRecord is the time between the first two tries to record.
const firstRecord = 100 * time.Millisecond

// expire gives up what has been tried for too long.
func (e *Engine) expire(s Settings, m *spool.Message, fates []*fate) {
	now := e.o.Now()
	for _, f := range fates {
		if f.outcome == deferred && !now.Before(s.end(m, &f.to)) {
			f.outcome = bounced
			f.why = "It was tried for " + inDays(s.MaxAge) + " in vain."
		}
	}
}

// result is what the queue is told.
func (e *Engine) result(s Settings, m *spool.Message, f *fate) spool.Result {
	r := spool.Result{Recipient: f.to.Address, Answer: f.words, Host: f.host, TLS: f.tls, Reason: f.why}
	switch f.outcome {
	case delivered:
		r.Into = spool.Delivered
	case bounced:
		r.Into = spool.Bounced
	case held:
		r.Into, r.Verdict, r.Codes = spool.Held, "refuse", []string{codeRefused}
		r.Now = &spool.Hold{Reason: spool.Refused, Provider: providerOf(f.host, ""), Codes: r.Codes, Rule: f.rule, Reply: f.words}
		if r.Reason == "" {
			r.Reason = "the receiver refused it as not authenticated"
		}
	default:
		r.Into, r.Next = spool.Queued, s.next(m, &f.to, e.o.Now(), f.until)
	}
	return r
}

// tell writes the one line there is for each recipient.
func (e *Engine) tell(ctx context.Context, m *spool.Message, f *fate, r spool.Result) {
	args := []any{"id", m.ID, "from", m.Envelope.From, "to", f.to.Address, "verdict", f.outcome}
	add := func(key, value string) {
		if value != "" {
			args = append(args, key, value)
		}
	}
	add("host", f.host)
	add("tls", f.tls)
	add("reply", f.words)
	add("rule", f.rule)
	if !r.Next.IsZero() {
		add("next", r.Next.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if f.outcome == held || f.outcome == bounced {
		add("reason", strings.TrimSpace(f.why))
		e.log.WarnContext(ctx, "delivery: "+string(f.outcome), args...)
		return
	}
	e.log.InfoContext(ctx, "delivery: "+string(f.outcome), args...)
}
