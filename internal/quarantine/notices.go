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

const (
	actorNotify = "notify_after" // of moves that policy made, named for its key
	actorExpire = "max_age"

	noticePage  = 100
	noticeLooks = 1000 // messages a round looks at; the next goes on from there
	noticeSends = 100  // messages a round writes about
	noticeTime  = time.Minute
)

// notices tells senders whose mail is held for longer than Policy.NotifyAfter:
// once for each message, and never the null sender. What is to be returned now is
// left to that.
func (q *Quarantine) notices(ctx context.Context) {
	p := q.o.Policy()
	if p.NotifyAfter == 0 {
		return
	}
	before := q.o.Now().Add(-p.NotifyAfter)
	list := func(after string) ([]string, error) { return q.store.Unnoticed(ctx, before, after, noticePage) }
	q.round(ctx, errand{"tell senders of held mail", &q.mailing.late, list, q.notifyOne})
}

// notifyOne tells the sender of one message.
func (q *Quarantine) notifyOne(ctx context.Context, id string) (sent bool, err error) {
	m, err := q.store.Get(ctx, id)
	if err != nil {
		return false, err
	}
	p, now := q.o.Policy(), q.o.Now()
	held := m.In(spool.Held)
	if len(held) == 0 || m.Envelope.From.IsNull() {
		return false, nil
	}
	since, err := q.began(ctx, m, held)
	if err != nil || p.MaxAge > 0 && now.Sub(since) >= p.MaxAge {
		return false, err
	}
	report := q.report(ctx, notice.Delayed, m, held)
	if p.MaxAge > 0 {
		report.Until = since.Add(p.MaxAge)
	}
	answer, err := q.mail(ctx, kindDelayed, id, report.To, report.Compose())
	if errors.Is(err, errRefused) { // for good: it won't be tried again
		answer = err.Error()
	} else if err != nil {
		return false, err
	}
	q.o.CrashPoint("notice-sent")
	err = q.store.Move(context.WithoutCancel(ctx), spool.Move{
		ID: id, From: spool.Held, Into: spool.Held, Notice: true, Actor: actorNotify,
		Reason: "held for " + inWords(now.Sub(m.Received)), Where: answer, At: now,
	})
	if err != nil {
		err = fmt.Errorf("note that the sender of %s was told: %w", id, err)
	}
	return true, err
}

// envelope is that of a notice: from the null sender, so that nobody answers it.
func envelope(to mail.Address) mail.Envelope {
	return mail.Envelope{To: []mail.Address{to}, SMTPUTF8: to.NeedsUTF8()}
}
