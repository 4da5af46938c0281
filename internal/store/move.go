package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Move implements spool.Mover.
func (s *Store) Move(ctx context.Context, m spool.Move) error {
	action, ok := m.Action()
	if !ok {
		return moveError(&m, spool.ErrTransition)
	}
	if len(m.Each) > 0 && len(m.Each) != len(m.To) {
		return moveError(&m, fmt.Errorf("findings on %d recipients, and %d recipients named", len(m.Each), len(m.To)))
	}
	if m.At.IsZero() {
		m.At = s.o.Now()
	}
	err := s.update(ctx, "move", 0, func(b *batch) error { return b.move(&m, action) })
	if err != nil {
		return moveError(&m, err)
	}
	return nil
}

// moveError leaves it to the caller to say what is moved, and why.
func moveError(m *spool.Move, err error) error {
	return fmt.Errorf("from %s to %s: %w", m.From, m.Into, err)
}

// move does one Move in the writer's transaction.
func (b *batch) move(m *spool.Move, action spool.Action) error {
	var seq int64
	if err := b.row("SELECT seq FROM messages WHERE id = ?", []any{m.ID}, &seq); err != nil {
		return notFound(err)
	}
	rows, err := b.query(selectRecipients, seq)
	all, err := recipients(rows, err)
	if err != nil {
		return err
	}
	chosen, err := choose(all, m)
	if err != nil {
		return err
	}
	if err := b.free(m, seq, chosen, all); err != nil {
		return err
	}
	for _, n := range chosen {
		one := m.Of(all[n].Address)
		if err := b.moveOne(&one, seq, n, all[n], action); err != nil {
			return err
		}
	}
	switch {
	case m.Notice:
		return b.exec("UPDATE messages SET noticed = ? WHERE seq = ?", nanos(m.At), seq)
	case m.Into.Final():
		return b.finish(seq, m.At)
	}
	return nil
}

// finish notes that all of a message's recipients have reached a final state, if
// they have.
func (b *batch) finish(seq int64, at time.Time) error {
	return b.exec(`UPDATE messages SET finished = ? WHERE seq = ? AND NOT EXISTS
		(SELECT 1 FROM recipients WHERE message = ? AND state IN ('held', 'queued'))`, nanos(at), seq, seq)
}

// choose returns the places of the recipients that m is about, all of which are
// in m.From.
func choose(all []spool.Recipient, m *spool.Move) ([]int, error) {
	var chosen []int
	named := map[mail.Address]bool{}
	for _, a := range m.To {
		if !slices.ContainsFunc(all, func(r spool.Recipient) bool { return r.Address == a }) {
			return nil, fmt.Errorf("recipient %s: %w", a, spool.ErrNotFound)
		}
		named[a] = true
	}
	for n, r := range all {
		switch {
		case len(named) > 0 && !named[r.Address]:
		case r.State == m.From:
			chosen = append(chosen, n)
		case len(named) > 0:
			return nil, fmt.Errorf("recipient %s is %s: %w", r.Address, r.State, spool.ErrConflict)
		}
	}
	if len(chosen) == 0 {
		return nil, spool.ErrConflict
	}
	return chosen, nil
}

// moveOne moves recipient n and logs it.
func (b *batch) moveOne(m *spool.Move, seq int64, n int, r spool.Recipient, action spool.Action) error {
	if err := b.log(logMove(m, &r, action)); err != nil {
		return err
	}
	if err := b.requeue(m, seq, n, &r); err != nil {
		return err
	}
	switch {
	case m.Notice && m.Now == nil:
		return nil
	case m.Now == nil || m.Into != spool.Held:
		changed := m.At
		if !m.Next.IsZero() && !m.Changed.IsZero() {
			changed = m.Changed
		}
		return b.exec("UPDATE recipients SET state = ?, changed = ? WHERE message = ? AND n = ?",
			string(m.Into), nanos(changed), seq, n)
	}
	r.Reason, r.Codes, r.Rule, r.Reply = m.Now.Reason, m.Now.Codes, m.Now.Rule, m.Now.Reply
	r.Provider = cmp.Or(m.Now.Provider, r.Provider)
	cause, err := b.cause(&r)
	if err != nil {
		return err
	}
	reply, err := b.reply(r.Reply)
	if err != nil {
		return err
	}
	b.w.s.x.noticeStale()
	return b.exec("UPDATE recipients SET state = ?, cause = ?, reply = ?, changed = ? WHERE message = ? AND n = ?",
		string(m.Into), cause, reply, nanos(m.At), seq, n)
}
