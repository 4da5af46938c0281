package quarantine

import (
	"context"
	"slices"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// sendPassing sends of a page what passes, and reports whether there was room for
// any of it. Without room nothing is tried: what passes is noted, to go on with when
// there is.
func (w *walk) sendPassing(ctx context.Context, messages []*spool.Message, verdicts map[mail.Domain]gate.Recipient, room bool) (bool, error) {
	if !w.q.o.Policy().AutoRelease {
		return room, nil
	}
	sent, full := 0, 0
	for _, m := range messages {
		passing, fits := passingOf(m, verdicts), false
		if len(passing) == 0 {
			continue
		}
		for _, r := range passing {
			if room && !w.noRoom(destination(r)) {
				fits = true
			} else {
				w.crowd(keyOf(m, r))
			}
		}
		did := hadNoRoom
		if fits {
			var err error
			if did, err = w.sendOne(ctx, m.ID); err != nil {
				return false, err
			}
		}
		switch did {
		case didSend:
			sent++
		case hadNoRoom:
			full++
		}
	}
	return room && (sent > 0 || full == 0), nil
}

// passingOf returns the held recipients of m that pass.
func passingOf(m *spool.Message, verdicts map[mail.Domain]gate.Recipient) []spool.Recipient {
	return slices.DeleteFunc(m.In(spool.Held), func(r spool.Recipient) bool { return !passes(verdicts[r.Address.Domain]) })
}
