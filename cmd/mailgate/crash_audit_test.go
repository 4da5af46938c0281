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
	chain, err := s.VerifyLog(w.t.Context())
	if err != nil {
		w.t.Error(err)
	}
	states, ours := map[claim]spool.State{}, map[claim]spool.State{}
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
			after = m.ID
			for _, r := range m.Recipients {
				states[claim{m.ID, r.Address.String()}] = r.State
			}
			if m.Source == "relay" {
				continue
			}
			n, err := strconv.Atoi(strings.TrimPrefix(m.Subject, "crash "))
			if err != nil {
				w.t.Errorf("%s in custody is none of the letters: %q", m.ID, m.Subject)
			}
			for _, r := range m.Recipients {
				ours[claim{m.ID, r.Address.String()}] = r.State
				copies[receipt{n: n, to: r.Address.String()}]++
			}
		}
	}
	w.checkReviewLog(s, states, chain.Trimmed > 0)
	forgotten := w.ledger.balance(ours, copies, chain.Trimmed > 0)
	w.ledger.auditDigests(w.t, s, forgotten)
	w.ledger.report(w.t)
	w.trimmed, w.forgotten = int(chain.Trimmed), forgotten
}

// checkReviewLog follows every recipient through the log to the state it is in.
// Entries that were trimmed are its first; a message that is forgotten has none.
func (w *crashWorld) checkReviewLog(s *store.Store, states map[claim]spool.State, trimmed bool) {
	t := w.t
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
			if from, known := logged[c]; e.From != from && (known || !trimmed) {
				t.Errorf("%v: entry %d begins at %q, the one before led to %q", c, e.N, e.From, from)
			}
			logged[c] = e.Into
			if e.Action == spool.ActionNotify && w.ledger.notices.delays[e.ID] == 0 {
				t.Errorf("entry %d says that the sender of %s was told of the delay, and no report arrived", e.N, e.ID)
			}
		}
	}
	for c, state := range states {
		if last, known := logged[c]; last != state && (known || !trimmed) {
			t.Errorf("%v is %s, the log says %q", c, state, last)
		}
	}
	for c := range logged {
		if states[c] == "" {
			t.Errorf("%v is in the log and not in the store", c)
		}
	}
}

// balance compares promises with arrivals: of every letter acknowledged each
// recipient's copy arrived, or was discarded, and none arrived twice but for an
// answer that was in flight. It returns how many recipients known from that are no
// longer in the store, from which the log's retention may have removed them.
func (l *ledger) balance(states map[claim]spool.State, copies map[receipt]int, trimmed bool) (forgotten int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	arrived := map[claim][]receipt{}
	direct := map[receipt]int{}
	for _, r := range l.receipts {
		key := receipt{n: r.n, to: r.to}
		if r.id == "" {
			direct[key]++
			continue
		}
		c := claim{r.id, r.to}
		l.checkRepeat(c, arrived[c], r)
		if states[c] == "" && arrived[c] == nil {
			copies[key]++
		}
		arrived[c] = append(arrived[c], r)
	}
	for c := range l.reviews.discarded {
		if states[c] == "" && arrived[c] == nil {
			arrived[c] = []receipt{}
		}
	}
	for c, list := range arrived {
		if states[c] != "" {
			continue
		}
		forgotten++
		if !trimmed {
			l.fault("%v arrived %d times and is not in custody", c, len(list))
		}
	}
	for c, state := range states {
		l.checkEnd(c, state, arrived[c])
	}
	for _, m := range l.letters {
		l.checkLetter(m, direct, copies)
	}
	return forgotten
}

func (l *ledger) checkLetter(m *letter, direct, copies map[receipt]int) {
	for _, to := range m.to {
		key := receipt{n: m.n, to: to}
		if m.acked && l.waitsFor(m.n, to) {
			l.fault("letter %d to %s was acknowledged and is lost", m.n, to)
		}
		if n := direct[key] + copies[key]; n > 1+m.broken || direct[key] > 1 {
			l.fault("letter %d to %s: %d went at once, %d were taken into custody, with one 250 and %d tries broken off",
				m.n, to, direct[key], copies[key], m.broken)
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

// checkEnd: the state a recipient ended in is told by the last arrival, or by a
// reviewer.
func (l *ledger) checkEnd(c claim, state spool.State, arrived []receipt) {
	want := spool.Held
	if len(arrived) > 0 {
		want = spool.Delivered
		if arrived[len(arrived)-1].bounce {
			want = spool.Bounced
		}
	}
	if l.reviews.discarded[c] {
		want = spool.Discarded
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
