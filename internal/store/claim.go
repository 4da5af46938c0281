package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// voidLeases is how many leases are ended in one operation.
const voidLeases = 1000

// leased is the recipients of one message under one lease.
type leased struct {
	seq, fence int64
	places     []int // of the recipients
}

// Claim implements spool.Queue. The writer only takes the leases down; the messages
// are read when that is durable, since nothing changes what is leased.
func (s *Store) Claim(ctx context.Context, destination mail.Domain, now, until time.Time, limit int) ([]*spool.Claim, error) {
	return s.claim(ctx, destination, until, func(b *batch) ([]leased, error) {
		paused, err := b.paused(destination, now)
		if paused || err != nil {
			return nil, err
		}
		return b.due(destination, now, limit)
	})
}

// claim leases what is chosen.
func (s *Store) claim(ctx context.Context, destination mail.Domain, until time.Time, choose func(*batch) ([]leased, error)) ([]*spool.Claim, error) {
	var some []leased
	err := s.update(ctx, "claim", 0, func(b *batch) (err error) {
		if some, err = choose(b); err == nil {
			err = b.lease(some, until)
		}
		return err
	})
	if err == nil && len(some) == 0 {
		return nil, nil
	}
	var claims []*spool.Claim
	if err == nil {
		ctx = context.WithoutCancel(ctx) // the leases are there
		err = s.view(ctx, func(tx *sql.Tx) error {
			for _, l := range some {
				m, err := s.leasedMessage(ctx, tx, destination, &l)
				if err != nil {
					return err
				}
				claims = append(claims, &spool.Claim{Message: m, Destination: destination, Until: until, Fence: l.fence})
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("claim what is due at %s: %w", destination, err)
	}
	return claims, nil
}

func (b *batch) paused(destination mail.Domain, now time.Time) (bool, error) {
	var pause int64
	err := b.row("SELECT pause FROM destinations WHERE domain = ?", []any{string(destination)}, &pause)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil // there is nothing
	}
	return pause > nanos(now), err
}

func (b *batch) lease(some []leased, until time.Time) error {
	for _, l := range some {
		for _, n := range l.places {
			err := b.exec("UPDATE deliveries SET due = ?1, leased = ?1, fence = ?2 WHERE message = ?3 AND n = ?4",
				nanos(until), l.fence, l.seq, n)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// due returns the recipients that are due, of so many messages. It reads on as long
// as they are of those.
func (b *batch) due(destination mail.Domain, now time.Time, most int) ([]leased, error) {
	rows, err := b.query(`SELECT message, n, fence FROM deliveries INDEXED BY deliveries_due
		WHERE destination = ? AND due <= ? ORDER BY due, message, n`, string(destination), nanos(now))
	return firstOf(rows, err, most)
}

// firstOf reads message, place and fence, of so many messages.
func firstOf(rows *sql.Rows, err error, most int) ([]leased, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var some []leased
	at := map[int64]int{} // seq: place in some
	for rows.Next() {
		var seq, fence int64
		var n int
		if err := rows.Scan(&seq, &n, &fence); err != nil {
			return nil, err
		}
		i, there := at[seq]
		if !there {
			if len(some) >= most {
				break
			}
			i = len(some)
			at[seq], some = i, append(some, leased{seq: seq})
		}
		some[i].places = append(some[i].places, n)
		some[i].fence = max(some[i].fence, fence+1)
	}
	return some, rows.Err()
}

// selectLeased selects the recipients under a lease, with the time their try was due.
const selectLeased = "SELECT " + causeColumns + "d.next," + deliveryColumns + `, r.n
	FROM deliveries d INDEXED BY deliveries_leased CROSS JOIN recipients r ON r.message = d.message AND r.n = d.n
	CROSS JOIN causes c ON c.id = r.cause CROSS JOIN replies p ON p.id = r.reply
	WHERE d.destination = ? AND d.leased IS NOT NULL AND d.message = ? AND d.fence = ? ORDER BY r.n`

// leasedMessage reads the message with the recipients under the lease.
func (s *Store) leasedMessage(ctx context.Context, tx *sql.Tx, destination mail.Domain, l *leased) (*spool.Message, error) {
	var prefix []byte
	m, _, err := scanEnvelope(s.stmt(ctx, tx, selectEnvelope).QueryRowContext(ctx, l.seq), &prefix)
	if err != nil {
		return nil, err
	}
	m.Prefix = prefix
	var n int
	rows, err := s.stmt(ctx, tx, selectLeased).QueryContext(ctx, string(destination), l.seq, l.fence)
	err = each(rows, err, func(rows *sql.Rows) error {
		r, err := scanRecipient(rows, &n)
		m.Recipients = append(m.Recipients, r)
		m.Envelope.To = append(m.Envelope.To, r.Address)
		return err
	})
	return m, err
}

// endLeases ends those a process had that is gone. On a full disk they end by their
// time.
func (s *Store) endLeases(ctx context.Context) error {
	var any bool
	err := s.view(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM deliveries WHERE leased IS NOT NULL)").Scan(&any)
	})
	for any && err == nil {
		err = s.update(ctx, "void", 0, func(b *batch) error {
			n, err := b.change(`UPDATE deliveries SET due = next, leased = NULL WHERE (message, n) IN
				(SELECT message, n FROM deliveries INDEXED BY deliveries_leased WHERE leased IS NOT NULL LIMIT ?)`, voidLeases)
			any = n == voidLeases
			return err
		})
	}
	if errors.Is(err, spool.ErrFull) {
		s.o.Logger.Warn("no space to end the leases of the process before: they end by their time", "database", s.path, "error", err)
		return nil
	}
	return err
}
