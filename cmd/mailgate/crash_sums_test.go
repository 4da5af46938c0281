package main

import "fmt"

// sums are the figures of one or more ledgers.
type sums struct {
	kills               int
	letters, recipients int
	direct, released    int // arrivals
	returned            int // recipients named in bounces
	delays, digests     int // messages whose delay was reported, digests
	again               int // notices sent again, one being in flight at a kill
	reviewed, discarded int // recipients a reviewer released, and discarded
	trimmed, forgotten  int // entries of the review log, recipients
	lost                int // recipients acknowledged that nothing arrived for
	twice               int // arrivals beyond the first of a message in custody: a release or return was in flight
	resent              int // arrivals beyond the first of a letter: its acknowledgement was in flight
	broken              int // tries that ended with the gateway
	deferred            int // tries the gateway itself answered 4xx
}

// sums are those of one store.
func (w *crashWorld) sums() sums {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sums{
		kills: w.kills, letters: len(l.letters), lost: l.missing,
		delays: len(l.notices.delays), digests: len(l.notices.digests), again: l.notices.again,
		reviewed: l.reviews.released, discarded: len(l.reviews.discarded),
		trimmed: w.trimmed, forgotten: w.forgotten,
	}
	for _, m := range l.letters {
		s.recipients += len(m.to)
		s.broken += m.broken
	}
	for _, n := range l.deferred {
		s.deferred += n
	}
	type copied struct {
		n      int
		to, id string
	}
	seen := map[copied]bool{}
	for _, r := range l.receipts {
		switch {
		case r.bounce:
			s.returned++
		case r.id != "":
			s.released++
		default:
			s.direct++
		}
		one, any := copied{r.n, r.to, "=" + r.id}, copied{r.n, r.to, ""}
		switch {
		case seen[one]:
			s.twice++
		case seen[any]:
			s.resent++
		}
		seen[one], seen[any] = true, true
	}
	return s
}

func (s *sums) add(more sums) {
	s.kills += more.kills
	s.letters += more.letters
	s.recipients += more.recipients
	s.direct += more.direct
	s.released += more.released
	s.returned += more.returned
	s.delays += more.delays
	s.digests += more.digests
	s.again += more.again
	s.reviewed += more.reviewed
	s.discarded += more.discarded
	s.trimmed += more.trimmed
	s.forgotten += more.forgotten
	s.lost += more.lost
	s.twice += more.twice
	s.resent += more.resent
	s.broken += more.broken
	s.deferred += more.deferred
}

func (s sums) String() string {
	return fmt.Sprintf(`%d kills
%9d messages acknowledged, to %d recipients
%9d arrived at once
%9d released (%d by the reviewer)
%9d discarded by the reviewer
%9d returned
%9d lost
%9d a second time, the next server's answer being in flight at a kill
%9d a second time, the client's answer being in flight at a kill (of %d tries broken off)
%9d tries deferred by the gateway itself
%9d delays reported, and %d digests; %d of both a second time, one being in flight at a kill
%9d entries of the review log trimmed, and %d recipients forgotten`,
		s.kills, s.letters, s.recipients, s.direct, s.released, s.reviewed, s.discarded, s.returned, s.lost, s.twice, s.resent, s.broken,
		s.deferred, s.delays, s.digests, s.again, s.trimmed, s.forgotten)
}
