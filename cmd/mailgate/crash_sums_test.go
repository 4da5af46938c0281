package main

import "fmt"

// sums are the figures of one or more ledgers.
type sums struct {
	kills               int
	letters, recipients int
	direct, released    int // arrivals
	returned            int // recipients named in bounces
	delays              int // messages whose delay was reported
	lost                int // recipients acknowledged that nothing arrived for
	twice               int // arrivals beyond the first of a message in custody: a release or return was in flight
	again               int // arrivals beyond the first of a letter: its acknowledgement was in flight
	broken              int // tries that ended with the gateway
	deferred            int // tries the gateway itself answered 4xx
}

func (l *ledger) sums(kills int) sums {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sums{kills: kills, letters: len(l.letters), lost: l.missing, delays: len(l.delays)}
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
			s.again++
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
	s.lost += more.lost
	s.twice += more.twice
	s.again += more.again
	s.broken += more.broken
	s.deferred += more.deferred
}

func (s sums) String() string {
	return fmt.Sprintf(`%d kills
%9d messages acknowledged, to %d recipients
%9d arrived at once
%9d released
%9d returned (and %d delays reported)
%9d lost
%9d a second time, the next server's answer being in flight at a kill
%9d a second time, the client's answer being in flight at a kill (of %d tries broken off)
%9d tries deferred by the gateway itself`,
		s.kills, s.letters, s.recipients, s.direct, s.released, s.returned, s.delays, s.lost, s.twice, s.again, s.broken, s.deferred)
}
