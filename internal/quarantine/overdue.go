package quarantine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// failure is why the next server didn't take a release.
type failure struct {
	why   string
	reply string // its answer, "552 5.3.4 too large"; empty: it gave none
	at    time.Time
}

// overdue is the verdict of now on the recipients of m that are to be returned.
// Those that would pass are returned only if their release failed.
func (q *Quarantine) overdue(ctx context.Context, m *spool.Message) (v gate.Verdict, failures map[mail.Address]failure, err error) {
	held := m.In(spool.Held)
	if len(held) == 0 {
		return gate.Verdict{}, nil, nil
	}
	v = keepByHand(m, q.judge(ctx, m, addresses(held)))
	if ctx.Err() != nil {
		return gate.Verdict{}, nil, ctx.Err()
	}
	p := q.o.Policy()
	early, err := q.notYetOver(ctx, m, p.MaxAge)
	if err != nil {
		return gate.Verdict{}, nil, err
	}
	v.Recipients = slices.DeleteFunc(v.Recipients, func(r gate.Recipient) bool { return early[r.Address] })
	if !p.AutoRelease {
		return v, nil, nil
	}
	if q.o.Now().Sub(m.Received) >= p.MaxAge+releaseGrace {
		if failures, err = q.lastFailures(ctx, m.ID, passing(v)); err != nil {
			return gate.Verdict{}, nil, err
		}
	}
	v.Recipients = slices.DeleteFunc(slices.Clone(v.Recipients), func(r gate.Recipient) bool {
		_, failed := failures[r.Address]
		return passes(r) && !failed // it waits for its turn
	})
	return v, failures, nil
}

func passes(r gate.Recipient) bool { return r.Disposition == gate.Pass }

func passing(v gate.Verdict) []mail.Address {
	var list []mail.Address
	for _, r := range v.Recipients {
		if passes(r) {
			list = append(list, r.Address)
		}
	}
	return list
}

// lastFailures is why the last release of some recipients of a message failed. Who
// isn't there was not released since the verdict on him changed last, or mailgate
// was stopped in the middle of it.
func (q *Quarantine) lastFailures(ctx context.Context, id string, of []mail.Address) (map[mail.Address]failure, error) {
	failures := map[mail.Address]failure{}
	open := make(map[mail.Address]bool, len(of))
	for _, a := range of {
		open[a] = true
	}
	for after := int64(0); len(open) > 0; {
		log, err := q.store.Log(ctx, spool.LogFilter{ID: id, After: after}) // the newest first
		if err != nil {
			return nil, fmt.Errorf("read the review log of %s: %w", id, err)
		}
		if len(log) == 0 {
			break
		}
		for _, e := range log {
			after = e.N
			why, failed := failureIn(e)
			if failed && open[e.Recipient] {
				failures[e.Recipient] = why
			}
			if failed || !ofReturn(e) {
				delete(open, e.Recipient)
			}
		}
	}
	return failures, nil
}

// failureIn is what an entry of the log says of a release that failed.
func failureIn(e spool.LogEntry) (failure, bool) {
	why, failed := strings.CutPrefix(e.Reason, releaseFailed)
	if e.Action != spool.ActionRequeue || !failed || e.Actor == actorStart { // a stop in an older log
		return failure{}, false
	}
	return failure{why, e.Where, e.Time}, true
}

// ofReturn reports whether an entry is about a return that came to nothing, which
// says nothing of a release.
func ofReturn(e spool.LogEntry) bool {
	return e.Action == spool.ActionReturn || e.Action == spool.ActionRequeue && (e.Actor == actorExpire || e.Actor == actorStart)
}

// tellFailures has a report say of recipients that the next server didn't take them.
func (q *Quarantine) tellFailures(r *notice.Report, failures map[mail.Address]failure) {
	for i := range r.Recipients {
		to := &r.Recipients[i]
		f, failed := failures[to.Address]
		if !failed {
			continue
		}
		to.LastAttempt, to.Diagnostic = f.at, f.reply
		if f.reply == "" {
			to.Status = "4.4.1" // no answer from host
			to.Why = "It can't be handed to the mail server that sends it on: " + f.why
			continue
		}
		to.RemoteMTA, to.Status = q.o.Policy().NextServer, cmp.Or(enhanced(f.reply), to.Status)
		to.Why = "The mail server that sends it on doesn't take it."
	}
}
