package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// releaseGrace is how much longer than Policy.MaxAge a recipient stays that would
// be taken now and that the next server doesn't let out.
const releaseGrace = 24 * time.Hour

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
	verdict, err := q.overdue(ctx, m)
	if err != nil || len(verdict.Recipients) == 0 {
		return false, err
	}
	if m.Envelope.From.IsNull() && q.o.Policy().Postmaster.IsNull() {
		q.cannotReturn(id, "it has no sender")
		return false, nil
	}
	report := q.reportOf(ctx, notice.Failed, m, verdict)
	if !q.releases.begin() {
		return false, ErrStopping
	}
	defer q.releases.done()
	var to []mail.Address
	for _, r := range verdict.Recipients {
		to = append(to, r.Address)
	}
	first := verdict.Recipients[0].Prediction
	err = q.store.Move(ctx, spool.Move{
		ID: id, To: to, From: spool.Held, Into: spool.Queued, Actor: actorExpire,
		Reason:  "held for " + inWords(q.o.Now().Sub(m.Received)) + ": to be returned",
		Verdict: string(first.Verdict), Codes: first.Codes, At: q.o.Now(),
	})
	if err != nil {
		return false, fmt.Errorf("claim %s for its return: %w", id, err)
	}
	q.o.CrashPoint("expire-claimed")
	where, err := q.giveBack(ctx, report)
	q.o.CrashPoint("expire-sent")
	if err != nil {
		return true, errors.Join(err, q.holdAgain(id, to, err))
	}
	return true, q.bounced(m, to, where)
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
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	err := q.store.Move(ctx, spool.Move{
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

// holdAgain takes back a claim.
func (q *Quarantine) holdAgain(id string, to []mail.Address, why error) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	err := q.store.Move(ctx, spool.Move{
		ID: id, To: to, From: spool.Queued, Into: spool.Held, Actor: actorExpire,
		Reason: "return failed: " + why.Error(), At: q.o.Now(),
	})
	if err != nil {
		return fmt.Errorf("hold %s again: %w", id, err)
	}
	return nil
}

// cannotReturn says once a day that something stays held although its time is over.
func (q *Quarantine) cannotReturn(id, why string) {
	if q.mailing.warnAgain(q.o.Now()) {
		q.o.Logger.Warn("mail held for longer than hold.max_age can't be returned and stays held: "+
			"set hold.postmaster, who then gets the report, or release or discard it", "id", id, "why", why)
	}
}

// overdue is the verdict of now on the recipients of m that are to be returned.
func (q *Quarantine) overdue(ctx context.Context, m *spool.Message) (gate.Verdict, error) {
	held := m.In(spool.Held)
	if len(held) == 0 {
		return gate.Verdict{}, nil
	}
	v := q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, addresses(held))
	if ctx.Err() != nil {
		return gate.Verdict{}, ctx.Err()
	}
	p := q.o.Policy()
	all := v.Recipients
	v.Recipients = nil
	for _, r := range all {
		if r.Disposition == gate.Pass && p.AutoRelease {
			if q.o.Now().Sub(m.Received) < p.MaxAge+releaseGrace {
				continue
			}
			failure, err := q.lastFailure(ctx, m.ID, r.Address)
			if err != nil {
				return gate.Verdict{}, err
			}
			if failure == "" {
				continue // it waits for its turn
			}
			r.Disposition, r.Prediction.Why = gate.Hold, "The next mail server doesn't take it: "+failure
		}
		v.Recipients = append(v.Recipients, r)
	}
	return v, nil
}

// lastFailure is why the last release of a recipient failed; empty when the last
// thing that happened to it was something else.
func (q *Quarantine) lastFailure(ctx context.Context, id string, to mail.Address) (string, error) {
	log, err := q.store.Log(ctx, spool.LogFilter{ID: id})
	if err != nil {
		return "", fmt.Errorf("read the review log of %s: %w", id, err)
	}
	for _, e := range log { // the newest first
		if e.Recipient == to {
			if e.Action == spool.ActionRequeue {
				return strings.TrimPrefix(e.Reason, "release failed: "), nil
			}
			return "", nil
		}
	}
	return "", nil
}
