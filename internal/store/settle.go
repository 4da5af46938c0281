package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Settle implements spool.Queue.
func (s *Store) Settle(ctx context.Context, c *spool.Claim, actor string, results []spool.Result) error {
	if len(results) == 0 {
		return nil
	}
	err := checkResults(c, results)
	if err == nil {
		err = s.update(ctx, "settle", 0, func(b *batch) error { return b.settle(c, actor, results) })
	}
	if err != nil {
		return fmt.Errorf("settle message %s at %s: %w", c.Message.ID, c.Destination, err)
	}
	return nil
}

// checkResults refuses what no claim can lead to.
func checkResults(c *spool.Claim, results []spool.Result) error {
	for _, r := range results {
		if err := checkResult(c, &r); err != nil {
			return fmt.Errorf("recipient %s, from queued to %s: %w", r.Recipient, r.Into, err)
		}
	}
	return nil
}

func checkResult(c *spool.Claim, r *spool.Result) error {
	_, ok := spool.ActionOf(spool.Queued, r.Into)
	switch {
	case !slices.Contains(c.Message.Envelope.To, r.Recipient):
		return spool.ErrNotFound
	case r.Into == spool.Queued && r.Next.IsZero():
		return errors.New("there is no time for the next try")
	case r.Into == spool.Held && r.Now == nil:
		return errors.New("nothing says what it is held for")
	case r.Into != spool.Queued && !ok:
		return spool.ErrTransition
	}
	return nil
}

// claimed is a recipient under a lease.
type claimed struct {
	spool.Recipient
	n int
}

// settle does one Settle in the writer's transaction.
func (b *batch) settle(c *spool.Claim, actor string, results []spool.Result) error {
	var seq int64
	if err := b.row("SELECT seq FROM messages WHERE id = ?", []any{c.Message.ID}, &seq); err != nil {
		return notFound(err)
	}
	left, err := b.claimed(c, seq)
	if err != nil {
		return err
	}
	now := b.w.s.o.Now()
	final := false
	for i := range results {
		r := &results[i]
		same := left[r.Recipient]
		if len(same) == 0 {
			return fmt.Errorf("recipient %s: %w", r.Recipient, spool.ErrConflict)
		}
		if err := b.settleOne(c, actor, seq, &same[0], r, now); err != nil {
			return err
		}
		left[r.Recipient] = same[1:]
		final = final || r.Into.Final()
	}
	if final {
		if err := b.finish(seq, now); err != nil {
			return err
		}
	}
	last := &results[len(results)-1]
	return b.exec("UPDATE destinations SET answer = ?, host = ?, tls = ?, tried = ? WHERE domain = ?",
		last.Answer, last.Host, last.TLS, nanos(now), string(c.Destination))
}

// claimed returns the recipients that are still under the lease. An address may be
// there more than once.
func (b *batch) claimed(c *spool.Claim, seq int64) (map[mail.Address][]claimed, error) {
	all := map[mail.Address][]claimed{}
	rows, err := b.query(selectLeased, string(c.Destination), seq, c.Fence)
	err = each(rows, err, func(rows *sql.Rows) error {
		var k claimed
		var err error
		k.Recipient, err = scanRecipient(rows, &k.n)
		all[k.Address] = append(all[k.Address], k)
		return err
	})
	return all, err
}

// settleOne takes down a try, and puts off the next or moves the recipient.
func (b *batch) settleOne(c *spool.Claim, actor string, seq int64, k *claimed, r *spool.Result, now time.Time) error {
	err := b.exec("UPDATE deliveries SET tries = tries + 1, tried = ?, answer = ?, host = ?, tls = ? WHERE message = ? AND n = ?",
		nanos(now), r.Answer, r.Host, r.TLS, seq, k.n)
	if err != nil {
		return err
	}
	if r.Into == spool.Queued {
		return b.exec("UPDATE deliveries SET due = ?1, next = ?1, leased = NULL WHERE message = ?2 AND n = ?3", nanos(r.Next), seq, k.n)
	}
	action, _ := spool.ActionOf(spool.Queued, r.Into)
	m := &spool.Move{
		ID: c.Message.ID, To: []mail.Address{r.Recipient}, From: spool.Queued, Into: r.Into, Actor: actor, Reason: r.Reason,
		Where: r.Answer, Codes: r.Codes, Verdict: r.Verdict, Now: r.Now, At: now,
	}
	return b.moveOne(m, seq, k.n, k.Recipient, action)
}
