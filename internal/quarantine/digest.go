package quarantine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// markDigest is up to when digests tell.
const markDigest = "digest"

// digest tells the postmaster what was newly held, and what ends soon, each
// Policy.Digest.
func (q *Quarantine) digest(ctx context.Context) {
	p := q.o.Policy()
	now := q.o.Now()
	if p.Digest == 0 || p.Postmaster.IsNull() || q.mailing.tooEarly(wayOut, now) || q.mailing.tooEarly(markDigest, now) {
		return
	}
	if err := q.digestIfDue(ctx, p, now); err != nil {
		if errors.Is(err, errNoWay) {
			q.mailing.failed(wayOut, now, 0)
		}
		q.mailing.failed(markDigest, now, 0)
		q.complain(ctx, "send the digest", "", err)
		return
	}
	q.mailing.done(markDigest)
}

func (q *Quarantine) digestIfDue(ctx context.Context, p Policy, now time.Time) error {
	since, err := q.store.Mark(ctx, markDigest)
	if err != nil {
		return fmt.Errorf("look when the last was: %w", err)
	}
	until := now.Add(-unsettled(p.Digest))
	if since.IsZero() || since.After(now) { // the first one, or the clock was wrong
		since = until.Add(-p.Digest)
	}
	if until.Sub(since) < p.Digest {
		return nil
	}
	holds, err := q.store.NewHolds(ctx, since, until)
	if err != nil {
		return fmt.Errorf("count what is newly held: %w", err)
	}
	holds = slices.DeleteFunc(holds, func(h spool.HoldCount) bool { // let go by those who held it
		return h.Reason == spool.ByHand && h.Still == 0
	})
	ending, err := q.endingUntold(ctx)
	if err != nil {
		return err
	}
	if len(holds) > 0 || len(ending) > 0 {
		if err := q.sendDigest(ctx, p, since, now, holds, ending); err != nil {
			return err
		}
		if err := q.noteTold(ctx, ending); err != nil {
			return err
		}
	}
	return q.digestedUntil(ctx, until)
}

// unsettled is how long ago a digest ends: after a clock was set back by less, no message
// gets a time that was told of already.
func unsettled(every time.Duration) time.Duration { return min(time.Minute, every/10) }

func (q *Quarantine) digestedUntil(ctx context.Context, t time.Time) error {
	if err := q.store.SetMark(context.WithoutCancel(ctx), markDigest, t); err != nil {
		return fmt.Errorf("note when the last was: %w", err)
	}
	return nil
}

// sendDigest sends it. One that is refused for good isn't sent again.
func (q *Quarantine) sendDigest(ctx context.Context, p Policy, since, now time.Time, holds []spool.HoldCount, ending []notice.Ending) error {
	counts, err := q.store.Count(ctx)
	if err != nil {
		return fmt.Errorf("count what is held: %w", err)
	}
	d := &notice.Digest{
		Hostname: p.Hostname, To: p.Postmaster, Since: since, At: now, New: holds,
		Held: counts.States[spool.Held], Ending: ending, Records: map[mail.Domain][]notice.Record{},
	}
	d.Findings = map[mail.Domain][]preflight.Finding{}
	for _, domain := range d.Told() {
		if err := q.tellMending(ctx, d, domain); err != nil {
			return err
		}
	}
	_, err = q.mail(ctx, kindDigest, "", p.Postmaster, d.Compose())
	q.o.CrashPoint("digest-sent")
	if errors.Is(err, errRefused) {
		return nil
	}
	return err
}

// maxCauses is how many causes of one domain a digest tells in their own words.
const maxCauses = 5

// tellMending has a digest tell what is wrong with a domain and what to publish, by
// the verdict of now on a message of each cause.
func (q *Quarantine) tellMending(ctx context.Context, d *notice.Digest, domain mail.Domain) error {
	causes := 0
	for _, h := range d.New {
		if h.From != domain || h.Still == 0 || h.Reason == spool.ByHand || causes == maxCauses {
			continue
		}
		m, err := q.store.Get(ctx, h.Example)
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Example, err)
		}
		v := q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, addresses(m.Recipients))
		if v.Report == nil {
			continue
		}
		causes++
		if causes == 1 {
			d.Records[domain] = q.o.Publish(ctx, v.Report)
		}
		for _, f := range v.Report.Findings {
			if f.Status != preflight.Pass && slices.Contains(h.Codes, f.Code) {
				d.Findings[domain] = append(d.Findings[domain], f)
			}
		}
	}
	return nil
}
