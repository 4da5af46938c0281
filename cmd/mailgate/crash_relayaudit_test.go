package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// relayCopy is a recipient of a message in the relay's custody.
type relayCopy struct {
	claim
	n     int
	qid   string // of its Received field
	state spool.State
}

// auditRelay opens the store after the last life and compares it with the book.
func (w *crashWorld) auditRelay() relaySums {
	w.t.Helper()
	b := w.receivers.book
	copies, reports := w.relayCustody()
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := map[claim][]int{} // by qid and recipient: lives
	for _, t := range b.taken {
		taken[claim{t.qid, t.to}] = append(taken[claim{t.qid, t.to}], t.life)
	}
	perLetter := map[receipt]int{}
	for _, c := range copies {
		perLetter[receipt{n: c.n, to: c.to}]++
		b.checkCopy(c, taken[claim{c.qid, c.to}])
		delete(taken, claim{c.qid, c.to})
	}
	for c := range taken {
		b.fault("%v was sent and is not in custody", c)
	}
	b.checkReports(copies, reports)
	lost := b.checkPromises(perLetter)
	if w.single {
		b.checkPoints()
	}
	for _, fault := range b.faults[:min(len(b.faults), 20)] {
		w.t.Error(fault)
	}
	for answer, n := range b.deferred {
		w.t.Logf("%d tries at the relay were answered: %s", n, answer)
	}
	return b.sums(lost)
}

// relayCustody reads what the relay has in custody: letters and reports.
func (w *crashWorld) relayCustody() (copies []relayCopy, reports map[claim]spool.State) {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), "sqlite:"+w.dir+"/mailgate.db", store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	reports = map[claim]spool.State{}
	for after := ""; ; {
		page, err := s.List(w.t.Context(), spool.Filter{Order: spool.Oldest, After: after, Limit: 500})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return copies, reports
		}
		for _, m := range page {
			after = m.ID
			number, letter := strings.CutPrefix(m.Subject, "relay ")
			n, err := strconv.Atoi(number)
			if m.Source != "relay" {
				continue
			}
			if m.From.Local == "MAILER-DAEMON" {
				reports[claim{m.ID, m.Envelope.To[0].String()}] = m.Recipients[0].State
				continue
			}
			whole, missing := s.Get(w.t.Context(), m.ID)
			if err != nil || missing != nil || !letter {
				w.t.Fatalf("%s in custody is none of the letters: %q, %v, %v", m.ID, m.Subject, err, missing)
			}
			for _, r := range m.Recipients {
				copies = append(copies, relayCopy{claim{m.ID, r.Address.String()}, n, match(queueIDOf, whole.Prefix), r.State})
			}
		}
	}
}

// checkCopy: it was taken or returned as its address has it, and taken again only
// when a kill left it queued in between.
func (b *relayBook) checkCopy(c relayCopy, lives []int) {
	want, arrived := spool.Delivered, len(lives) > 0
	if isReturned(c.to) {
		want = spool.Bounced
		arrived = slices.ContainsFunc(b.reports, func(r relayReport) bool { return r.about == c.claim })
	}
	if c.state != want || !arrived || want == spool.Bounced && len(lives) > 0 {
		b.fault("%v of letter %d is %s; receivers took it in the lives %v, and that a report arrived is %t", c.claim, c.n, c.state, lives, arrived)
	}
	slices.Sort(lives)
	for i, life := range lives {
		if i > 0 {
			b.ofLife(lives[i-1]).twice++
			if !b.queuedIn(c.claim, lives[i-1], life) {
				b.fault("%v was taken in life %d and again in life %d, without a kill in between that left it queued", c.claim, lives[i-1], life)
			}
		}
		if b.leftQueued(c.claim, life) {
			b.ofLife(life).inFlight++
		}
	}
}

// checkReports: each report in custody arrived, and there is a second one about a
// recipient only when a kill left that queued after the first was taken.
func (b *relayBook) checkReports(copies []relayCopy, reports map[claim]spool.State) {
	arrived := map[claim][]int{}       // by report: lives
	about := map[claim]map[claim]int{} // by recipient: reports, and the life they were taken in
	for _, r := range b.reports {
		id := claim{r.id, r.to}
		arrived[id] = append(arrived[id], r.life)
		if about[r.about] == nil {
			about[r.about] = map[claim]int{}
		}
	}
	for id, lives := range arrived {
		slices.Sort(lives)
		lives = slices.Compact(lives) // a report on several recipients is noted for each
		arrived[id] = lives
		for i, life := range lives {
			if i > 0 && !b.queuedIn(id, lives[i-1], life) {
				b.fault("the report %v arrived in life %d and again in life %d, without a kill in between that left it queued", id, lives[i-1], life)
			}
		}
		if reports[id] != spool.Delivered {
			b.fault("the report %v arrived and is %q", id, reports[id])
		}
	}
	for id, state := range reports {
		if len(arrived[id]) == 0 {
			b.fault("the report %v is %s and did not arrive", id, state)
		}
	}
	for _, r := range b.reports {
		id := claim{r.id, r.to}
		about[r.about][id] = b.takenIn(id, arrived[id][0])
	}
	for c, list := range about {
		if !slices.ContainsFunc(copies, func(k relayCopy) bool { return k.claim == c }) {
			b.fault("there are reports on %v, which is not in custody", c)
		}
		var lives []int
		for _, life := range list {
			lives = append(lives, life)
		}
		b.checkSecondReports(c, lives)
	}
}

func (b *relayBook) checkSecondReports(c claim, lives []int) {
	slices.Sort(lives)
	for i, life := range lives {
		if i > 0 {
			b.ofLife(lives[i-1]).reportedTwice++
			if !b.queuedIn(c, lives[i-1], life) {
				b.fault("%v was reported on in life %d and again in life %d, without a kill in between that left it queued", c, lives[i-1], life)
			}
		}
		if b.leftQueued(c, life) {
			b.ofLife(life).torn++
		}
	}
}

// takenIn is the life in which a report was taken into custody.
func (b *relayBook) takenIn(id claim, arrived int) int {
	before := 0
	for _, l := range b.lives {
		switch {
		case l.started && l.waiting[id]:
			return before
		case l.started:
			before = l.life
		}
	}
	return arrived
}

// queuedIn reports whether a recipient was found queued at the start of a life after
// the one and up to the other.
func (b *relayBook) queuedIn(c claim, after, upTo int) bool {
	return slices.ContainsFunc(b.lives, func(l relayLife) bool { return after < l.life && l.life <= upTo && l.waiting[c] })
}

// leftQueued reports whether a recipient was found queued at the next start.
func (b *relayBook) leftQueued(c claim, after int) bool {
	for _, l := range b.lives {
		if l.life > after && l.started {
			return l.waiting[c]
		}
	}
	return false
}

// ofLife is what is counted of a life.
func (b *relayBook) ofLife(life int) *relayLife {
	i, _ := slices.BinarySearchFunc(b.lives, life, func(l relayLife, n int) int { return cmp.Compare(l.life, n) })
	return &b.lives[i]
}

// checkPromises: what was acknowledged was taken by a receiver or returned, and one
// message is in custody as often as it was sent, at most.
func (b *relayBook) checkPromises(copies map[receipt]int) (lost int) {
	for _, m := range b.letters {
		for _, to := range m.to {
			key := receipt{n: m.n, to: to}
			if m.acked && !b.done[key] {
				lost++
				b.fault("letter %d to %s was acknowledged and is lost", m.n, to)
			}
			if n := copies[key]; n > 1+m.broken {
				b.fault("letter %d to %s was taken into custody %d times, with one 250 and %d tries broken off", m.n, to, n, m.broken)
			}
		}
	}
	return lost
}

// checkPoints compares what was in flight at each kill with what may be there.
func (b *relayBook) checkPoints() {
	for _, l := range b.lives {
		if l.inFlight > 0 && !unsettled(l.point) {
			b.fault("at %s in life %d the answers about %d recipients were in flight", l.point, l.life, l.inFlight)
		}
		if l.torn > 0 && !slices.Contains(reportPoints, l.point) {
			b.fault("at %s in life %d there were reports on %d recipients that were still queued", l.point, l.life, l.torn)
		}
		if l.dotTaken && l.inFlight == 0 {
			b.fault("in life %d the gateway was killed before it had a receiver's answer, and has not sent the message again", l.life)
		}
	}
}
