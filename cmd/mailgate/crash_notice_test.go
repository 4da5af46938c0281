package main

import (
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"mailgate/internal/store"
)

// notices are delay reports and digests. A round sends one after the other and
// writes each down, so that a kill has it sent again at most once, and only the last
// one.
type notices struct {
	delays    map[string]int // by message: the life that sent the last
	lastDelay map[int]string // by life: the last message it was sent about
	digests   []told         // in the order of arrival
	marked    time.Time      // up to when digests had told when a life found that first
	again     int            // sent again
}

// told is one digest.
type told struct {
	since      string // as it says; no two stretches of time begin in the same second
	recipients int
	life       int
}

func newNotices() notices {
	return notices{delays: map[string]int{}, lastDelay: map[int]string{}}
}

// digestMark is the store's mark for up to when digests have told.
const digestMark = "digest"

// foundTold notes that mark, as found at the start of a life.
func (l *ledger) foundTold(mark string) {
	l.do(func() {
		at, err := time.Parse(time.RFC3339Nano, mark)
		if err != nil {
			l.fault("up to when digests have told: %v", err)
		}
		if l.notices.marked.IsZero() {
			l.notices.marked = at
		}
	})
}

// noteDelay notes a delay report about a message. There is one, but for a kill
// before it is written down: the message is then held still, or goes to be held
// again.
func (l *ledger) noteDelay(id string, life int) {
	n := &l.notices
	before, again := n.delays[id]
	if again {
		n.again++
	}
	if again && (before == life || n.lastDelay[before] != id) && !l.heldAgain(id, before, life) {
		l.fault("the delay of %s was reported in life %d and again in life %d, without a kill in between", id, before, life)
	}
	n.delays[id], n.lastDelay[life] = life, id
}

// heldAgain reports whether a kill after life before left some of a message queued.
func (l *ledger) heldAgain(id string, before, life int) bool {
	for c, lives := range l.queued {
		if c.id == id && slices.ContainsFunc(lives, func(at int) bool { return before < at && at <= life }) {
			return true
		}
	}
	return false
}

var (
	digestOf      = regexp.MustCompile(`(?m)^Subject: mailgate on \S+ mail for (\d+) recipients? newly held\r$`)
	digestSinceOf = regexp.MustCompile(`(?m)^Since (\w+, \d+ \w+ \d+ [\d:]+ \+0000),`)
)

func (l *ledger) noteDigest(content []byte, life int) {
	d := told{since: match(digestSinceOf, content), life: life}
	var err error
	if d.recipients, err = strconv.Atoi(match(digestOf, content)); err != nil || d.since == "" {
		l.fault("mail to the postmaster that is no digest:\n%.500s", content)
		return
	}
	last := len(l.notices.digests) - 1
	for i, before := range slices.Backward(l.notices.digests) {
		if before.since != d.since {
			continue
		}
		l.notices.again++
		if before.life == life || i != last {
			l.fault("the digest since %s was sent in life %d and again in life %d, without a kill in between", d.since, before.life, life)
		}
		break
	}
	l.notices.digests = append(l.notices.digests, d)
}

// auditDigests compares what digests told between the first time they were found to
// have told and the last with what was held then. What was forgotten since, by the
// log's retention, may have been told.
func (l *ledger) auditDigests(t *testing.T, s *store.Store, forgotten int) {
	until, err := s.Mark(t.Context(), digestMark)
	if err != nil {
		t.Fatal(err)
	}
	since := l.notices.marked
	if since.IsZero() {
		return
	}
	holds, err := s.NewHolds(t.Context(), since, until)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, h := range holds {
		held += h.Recipients
	}
	last := map[string]int{} // by since: what is sent again tells it all
	for _, d := range l.notices.digests {
		at, err := time.Parse(time.RFC1123Z, d.since)
		if err != nil {
			t.Fatal(err)
		}
		if !at.Before(since.Truncate(time.Second)) && at.Before(until.Truncate(time.Second)) {
			last[d.since] = d.recipients
		}
	}
	told := 0
	for _, n := range last {
		told += n
	}
	if told < held || told > held+forgotten {
		t.Errorf("%d digests tell of %d recipients between %v and %v; %d were held then and are known, and %d forgotten",
			len(last), told, since, until, held, forgotten)
	}
}
