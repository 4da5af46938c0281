package quarantine

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"mailgate/internal/spool"
)

const (
	defaultRecheck = 30 * time.Second
	maxInterval    = 15 * time.Minute // between two checks of an identity
)

// interval is how long after a check the next is due: the longer the oldest
// message waits, the longer.
func interval(age, least time.Duration) time.Duration {
	return max(least, min(age/10, maxInterval))
}

func (p Policy) recheck() time.Duration { return cmp.Or(p.Recheck, defaultRecheck) }

// schedule keeps when each identity is due. It is computed anew at every start.
type schedule struct {
	mu sync.Mutex
	of map[identity]*turn
}

// turn is when an identity is checked next.
type turn struct {
	groups  []spool.Group
	checked bool                    // since the start
	due     time.Time               // DNS is asked afresh
	room    time.Time               // what passes goes on leaving; zero: nothing had to wait for room
	left    map[spool.GroupKey]bool // that had to wait
	running bool
	again   bool // became due while it was running
}

// next is when the turn comes.
func (t *turn) next() time.Time {
	if !t.room.IsZero() && t.room.Before(t.due) {
		return t.room
	}
	return t.due
}

// update takes over what is held. An identity that wasn't there was judged when its
// mail was held, so its first check is due an interval later; at the start, at once.
func (s *schedule) update(groups []spool.Group, now time.Time, least time.Duration, start bool) {
	order, of := byIdentity(groups)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.of
	s.of = make(map[identity]*turn, len(order))
	for _, id := range order {
		t := old[id]
		if t == nil {
			t = &turn{checked: !start, due: now}
			if first := oldest(of[id], now).Add(least); !start && first.After(now) {
				t.due = first
			}
		}
		t.groups = of[id]
		s.of[id] = t
	}
	for id, t := range old {
		if t.running && s.of[id] == nil {
			t.groups = nil // goes with the update after its check
			s.of[id] = t
		}
	}
}

// allDue makes every identity due now.
func (s *schedule) allDue(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.of {
		t.due, t.again = now, t.running
	}
}

// ready returns up to n identities whose turn has come, and marks them as being
// checked: first what can leave without asking DNS, then whose turn came first.
func (s *schedule) ready(now time.Time, n int) []identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []identity
	for id, t := range s.of {
		if !t.running && len(t.groups) > 0 && !t.next().After(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b identity) int {
		ta, tb := s.of[a], s.of[b]
		if da, db := ta.due.After(now), tb.due.After(now); da != db {
			if da {
				return -1
			}
			return 1
		}
		return ta.next().Compare(tb.next())
	})
	ids = ids[:min(n, len(ids))]
	for _, id := range ids {
		s.of[id].running = true
	}
	return ids
}

// take returns what is to be checked of a ready identity.
func (s *schedule) take(id identity, now time.Time) (groups []spool.Group, afresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[id]
	if !t.due.After(now) {
		return t.groups, true
	}
	for _, g := range t.groups {
		if t.left[g.GroupKey] {
			groups = append(groups, g)
		}
	}
	return groups, false
}

// end takes the mark off, whatever came of the check.
func (s *schedule) end(id identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.of[id]; t != nil {
		t.running, t.again, t.checked = false, false, true
	}
}

// after is what a check says of the next.
type after struct {
	due  time.Time // zero: as before
	room time.Time
	left map[spool.GroupKey]bool
}

// checked notes a check and when the next is due.
func (s *schedule) checked(id identity, a after) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[id]
	if t == nil {
		return
	}
	t.room, t.left = a.room, a.left
	if !a.due.IsZero() && !t.again {
		t.due = a.due
	}
}

// started reports whether all that was held at the start has been checked.
func (s *schedule) started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.of {
		if !t.checked {
			return false
		}
	}
	return true
}

// wait is how long nothing is due.
func (s *schedule) wait(now time.Time, most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.of {
		if !t.running && len(t.groups) > 0 {
			most = min(most, t.next().Sub(now))
		}
	}
	return max(most, 0)
}

// oldest is when the oldest of some held messages was received, or now.
func oldest(groups []spool.Group, now time.Time) time.Time {
	for _, g := range groups {
		if g.Oldest.Before(now) {
			now = g.Oldest
		}
	}
	return now
}
