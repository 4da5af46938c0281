package quarantine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// expire returns what has been held for Policy.MaxAge to its sender, or reports it
// to the postmaster where it has none. What would pass now is left to the
// re-check, which releases it.
func (q *Quarantine) expire(ctx context.Context) {
	p := q.o.Policy()
	if p.MaxAge == 0 {
		return
	}
	before := q.o.Now().Add(-p.MaxAge)
	list := func(after string) ([]string, error) { return q.store.HeldBefore(ctx, before, after, noticePage) }
	q.round(ctx, errand{"return held mail", &q.mailing.old, list, q.expireOne})
}

// expireOne returns what is to be returned of one message. Whoever moves the
// recipients first has them: here they are queued while the report is under way.
func (q *Quarantine) expireOne(ctx context.Context, id string) (sent bool, err error) {
	m, err := q.store.Get(ctx, id)
	if err != nil {
		return false, err
	}
	verdict, failures, err := q.overdue(ctx, m)
	if err != nil || len(verdict.Recipients) == 0 {
		return false, err
	}
	if m.Envelope.From.IsNull() && q.o.Policy().Postmaster.IsNull() {
		q.cannotReturn(id, "it has no sender")
		return false, nil
	}
	report := q.reportOf(ctx, notice.Failed, m, verdict)
	q.tellFailures(report, failures)
	if !q.releases.begin() {
		return false, ErrStopping
	}
	defer q.releases.done()
	claim := spool.Move{
		ID: id, From: spool.Held, Into: spool.Queued, Return: true, Actor: actorExpire,
		Reason: "held for " + inWords(q.o.Now().Sub(m.Received)), At: q.o.Now(),
	}
	for _, r := range verdict.Recipients {
		claim.To = append(claim.To, r.Address)
		claim.Each = append(claim.Each, foundOf(r))
	}
	if err := q.leave(ctx, claim); err != nil {
		return false, fmt.Errorf("claim %s for its return: %w", id, err)
	}
	q.o.CrashPoint("expire-claimed")
	where, err := q.giveBack(ctx, report)
	q.o.CrashPoint("expire-sent")
	if err != nil {
		return true, errors.Join(err, q.holdAgain(spool.Move{
			ID: id, To: claim.To, Actor: actorExpire, Reason: "return failed: " + err.Error(),
		}))
	}
	return true, q.bounced(m, claim.To, where)
}

// giveBack sends the report to the sender, or to the postmaster where there is no
// sender or the next server doesn't take mail for it.
func (q *Quarantine) giveBack(ctx context.Context, report *notice.Report) (where string, err error) {
	id, postmaster := report.Message.ID, q.o.Policy().Postmaster
	if !report.To.IsNull() {
		where, err = q.mail(ctx, kindReturned, id, report.To, report.Compose())
		if !errors.Is(err, errRefused) {
			return where, err
		}
		if postmaster.IsNull() {
			q.cannotReturn(id, "its sender's address is refused")
			q.mailing.failed(id, q.o.Now(), 24*time.Hour)
			return "", err
		}
	}
	report.To = postmaster
	return q.mail(ctx, kindReturned, id, postmaster, report.Compose())
}

// bounced records that the recipients were returned.
func (q *Quarantine) bounced(m *spool.Message, to []mail.Address, where string) error {
	err := q.store.Move(context.Background(), spool.Move{
		ID: m.ID, To: to, From: spool.Queued, Into: spool.Bounced, Actor: actorExpire,
		Reason: "returned", Where: where, At: q.o.Now(),
	})
	if err != nil {
		return fmt.Errorf("record the return of %s: %w", m.ID, err)
	}
	q.o.CrashPoint("expire-settled")
	q.o.Logger.Info("returned", "id", m.ID, "from", m.Envelope.From.String(), "to", joinAddresses(to), "actor", actorExpire, "reply", where)
	return nil
}

// noReturn says of a message shown as view that its time is over, and that nobody is
// there to return it to; empty where that isn't so.
func (q *Quarantine) noReturn(m *spool.Message, view Message) string {
	p := q.o.Policy()
	since := m.Received
	if view.Now == string(spool.ByHand) {
		since = m.In(spool.Held)[0].Changed // a list doesn't read the review log
	}
	switch {
	case p.MaxAge == 0, q.o.Now().Sub(since) < p.MaxAge, !m.Envelope.From.IsNull(), !p.Postmaster.IsNull():
		return ""
	case len(m.In(spool.Held)) == 0, view.Now == "pass" && p.AutoRelease:
		return ""
	}
	return "held for longer than hold.max_age, with nobody to return it to: set hold.postmaster, or release or discard it"
}

// cannotReturn says once a day that something stays held although its time is over.
func (q *Quarantine) cannotReturn(id, why string) {
	if q.mailing.warnAgain(q.o.Now()) {
		q.o.Logger.Warn("mail held for longer than hold.max_age can't be returned and stays held, and the review log "+
			"isn't trimmed past it: set hold.postmaster, who then gets the report, or release or discard it", "id", id, "why", why)
	}
}
