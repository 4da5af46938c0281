package quarantine

import (
	"context"
	"slices"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// sendPassing sends what passes of messages just read. Where there is no room none
// is read again: it is noted, to go on with when there is.
func (w *walk) sendPassing(ctx context.Context, messages []*spool.Message, verdicts map[mail.Domain]gate.Recipient) error {
	if !w.q.o.Policy().AutoRelease {
		return nil
	}
	for _, m := range messages {
		fits := false
		for _, r := range passingOf(m, verdicts) {
			if w.noRoom(destination(r)) {
				w.crowd(keyOf(m, r))
			} else {
				fits = true
			}
		}
		if !fits {
			continue
		}
		if _, err := w.sendOne(ctx, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// passingOf returns the held recipients of m that pass, and may leave by themselves.
func passingOf(m *spool.Message, verdicts map[mail.Domain]gate.Recipient) []spool.Recipient {
	return slices.DeleteFunc(heldByDNS(m), func(r spool.Recipient) bool { return !passes(verdicts[r.Address.Domain]) })
}
