package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// relaySums are the figures of one or more books.
type relaySums struct {
	kills                int
	letters, recipients  int
	taken, reports       int
	lost                 int
	twice, reportedTwice int
	broken, deferred     int
	points               map[string]relayPoint
}

// relayPoint are the figures of the kills at one point.
type relayPoint struct{ kills, inFlight, twice, torn, reportedTwice int }

func (b *relayBook) sums(lost int) relaySums {
	s := relaySums{letters: len(b.letters), taken: len(b.taken), lost: lost, points: map[string]relayPoint{}}
	for _, m := range b.letters {
		s.recipients += len(m.to)
		s.broken += m.broken
	}
	seen := map[string]bool{}
	for _, r := range b.reports {
		if !seen[r.id] {
			s.reports++
		}
		seen[r.id] = true
	}
	for _, n := range b.deferred {
		s.deferred += n
	}
	for _, l := range b.lives[:max(len(b.lives)-1, 0)] { // the last one ends in order
		p := s.points[cmp.Or(l.point, "at random")]
		s.kills++
		p.add(relayPoint{1, l.inFlight, l.twice, l.torn, l.reportedTwice})
		s.points[cmp.Or(l.point, "at random")] = p
		s.twice += l.twice
		s.reportedTwice += l.reportedTwice
	}
	return s
}

func (p *relayPoint) add(more relayPoint) {
	p.kills += more.kills
	p.inFlight += more.inFlight
	p.twice += more.twice
	p.torn += more.torn
	p.reportedTwice += more.reportedTwice
}

func (s *relaySums) add(more relaySums) {
	s.kills += more.kills
	s.letters += more.letters
	s.recipients += more.recipients
	s.taken += more.taken
	s.reports += more.reports
	s.lost += more.lost
	s.twice += more.twice
	s.reportedTwice += more.reportedTwice
	s.broken += more.broken
	s.deferred += more.deferred
	if s.points == nil {
		s.points = map[string]relayPoint{}
	}
	for name, p := range more.points {
		sum := s.points[name]
		sum.add(p)
		s.points[name] = sum
	}
}

func (s relaySums) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, `%d kills
%9d messages given to the relay, for %d recipients
%9d taken by receivers
%9d reports returned
%9d lost
%9d a second time, the receiver's answer being in flight at a kill
%9d reported a second time, the kill being between the report and its note
%9d tries of clients broken off, %d deferred by the relay itself
point               kills  in flight  twice  reported, still queued  reported twice`,
		s.kills, s.letters, s.recipients, s.taken, s.reports, s.lost, s.twice, s.reportedTwice, s.broken, s.deferred)
	for _, name := range slices.Sorted(maps.Keys(s.points)) {
		p := s.points[name]
		fmt.Fprintf(&b, "\n%-18s %6d %10d %6d %23d %15d", name, p.kills, p.inFlight, p.twice, p.torn, p.reportedTwice)
	}
	return b.String()
}
