package quarantine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// movedError is an ErrConflict that says who was first.
type movedError struct {
	entry spool.LogEntry
	ago   time.Duration
}

func (e *movedError) Error() string {
	return fmt.Sprintf("<%s> was moved to %s by %s %s ago", e.entry.Recipient, e.entry.Into, e.entry.Actor, inWords(e.ago))
}

func (e *movedError) Unwrap() error { return spool.ErrConflict }

// leave moves recipients out of what is held, unless the relay is giving their message
// up at this moment. An ErrConflict says who was first.
func (q *Quarantine) leave(ctx context.Context, move spool.Move) error {
	if q.o.Relay != nil {
		done, err := q.o.Relay.Moving(move.ID)
		if err != nil {
			return err
		}
		defer done()
	}
	if err := q.store.Move(ctx, move); err != nil {
		return q.tellWho(ctx, move.ID, move.To, err)
	}
	return nil
}

// tellWho says of an ErrConflict who moved one of the recipients, from the review
// log. Any other error stays as it is.
func (q *Quarantine) tellWho(ctx context.Context, id string, to []mail.Address, err error) error {
	if !errors.Is(err, spool.ErrConflict) {
		return err
	}
	log, logErr := q.store.Log(ctx, spool.LogFilter{ID: id})
	if logErr != nil {
		return err // the conflict is what matters
	}
	for _, e := range log { // the newest first
		if e.Into != spool.Held && slices.Contains(to, e.Recipient) {
			return &movedError{e, q.o.Now().Sub(e.Time)}
		}
	}
	return err
}

// inWords is a time that has passed, in its largest unit.
func inWords(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", max(0, d)/time.Second)
}
