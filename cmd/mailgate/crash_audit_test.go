package main

import (
	"strconv"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// audit opens the store after the last life and compares it with the ledger and
// with itself.
func (w *crashWorld) audit() {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), "sqlite:"+w.dir+"/mailgate.db", store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.VerifyLog(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	states := map[claim]spool.State{}
	copies := map[receipt]int{} // by letter and recipient
	after := ""
	for {
		page, err := s.List(w.t.Context(), spool.Filter{Order: spool.Oldest, After: after, Limit: 500})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			n, err := strconv.Atoi(strings.TrimPrefix(m.Subject, "crash "))
			if err != nil {
				w.t.Errorf("%s in custody is none of the letters: %q", m.ID, m.Subject)
			}
			for _, r := range m.Recipients {
				states[claim{m.ID, r.Address.String()}] = r.State
				copies[receipt{n: n, to: r.Address.String()}]++
			}
			after = m.ID
		}
	}
	checkReviewLog(w.t, s, states)
	w.ledger.balance(states, copies)
	w.ledger.report(w.t)
}

// checkReviewLog follows every recipient through the log to the state it is in.
func checkReviewLog(t *testing.T, s *store.Store, states map[claim]spool.State) {
	logged := map[claim]spool.State{}
	for after := int64(0); ; {
		entries, err := s.Log(t.Context(), spool.LogFilter{After: after, OldestFirst: true, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			after = e.N
			if e.Recipient == (mail.Address{}) {
				continue
			}
			c := claim{e.ID, e.Recipient.String()}
			if e.From != logged[c] {
				t.Errorf("%v: entry %d begins at %q, the one before led to %q", c, e.N, e.From, logged[c])
			}
			logged[c] = e.Into
		}
	}
	for c, state := range states {
		if logged[c] != state {
			t.Errorf("%v is %s, the log says %q", c, state, logged[c])
		}
	}
	for c := range logged {
		if states[c] == "" {
			t.Errorf("%v is in the log and not in the store", c)
		}
	}
}

// balance compares promises with arrivals: of every letter acknowledged each
// recipient's copy arrived, and none twice but for an answer that was in flight.
func (l *ledger) balance(states map[claim]spool.State, copies map[receipt]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	arrived := map[claim][]receipt{}
	direct := map[receipt]int{}
	for _, r := range l.receipts {
		key := receipt{n: r.n, to: r.to}
		switch {
		case r.id == "":
			direct[key]++
		default:
			c := claim{r.id, r.to}
			l.checkRepeat(c, arrived[c], r)
			arrived[c] = append(arrived[c], r)
		}
	}
	for c, list := range arrived {
		if states[c] == "" {
			l.fault("%v arrived %d times and is not in custody", c, len(list))
		}
	}
	for c, state := range states {
		l.checkEnd(c, state, arrived[c])
	}
	for _, m := range l.letters {
		for _, to := range m.to {
			key := receipt{n: m.n, to: to}
			if m.acked && l.arrived[m.n][to] == 0 {
				l.fault("letter %d to %s was acknowledged and is lost", m.n, to)
			}
			if n := direct[key] + copies[key]; n > 1+m.broken || direct[key] > 1 {
				l.fault("letter %d to %s: %d went at once, %d were taken into custody, with one 250 and %d tries broken off",
					m.n, to, direct[key], copies[key], m.broken)
			}
		}
	}
}

// checkRepeat: a message of the store leaves again only if a crash left it queued
// after it had left before.
func (l *ledger) checkRepeat(c claim, before []receipt, r receipt) {
	if len(before) == 0 {
		return
	}
	last := before[len(before)-1]
	for _, life := range l.queued[c] {
		if last.life < life && life <= r.life {
			return
		}
	}
	l.fault("%v left in life %d and again in life %d, without a crash in between that left it queued", c, last.life, r.life)
}

// checkEnd: the state a recipient ended in is told by the last arrival.
func (l *ledger) checkEnd(c claim, state spool.State, arrived []receipt) {
	want := spool.Held
	if len(arrived) > 0 {
		want = spool.Delivered
		if arrived[len(arrived)-1].bounce {
			want = spool.Bounced
		}
	}
	if state != want || !state.Final() {
		l.fault("%v is %s; it arrived %d times: %+v", c, state, len(arrived), arrived)
	}
}

// report fails the test with what was found wrong, or as much of it as can be read.
func (l *ledger) report(t *testing.T) {
	const most = 20
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, fault := range l.faults {
		if i == most {
			t.Errorf("and %d more", len(l.faults)-most)
			break
		}
		t.Error(fault)
	}
	for answer, n := range l.deferred {
		t.Logf("%d tries were answered: %s", n, answer)
	}
}
