package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// relayBook compares what clients of the relay were promised with what its receivers
// took.
type relayBook struct {
	ledger *ledger // of the milter's mail; told of every event

	mu       sync.Mutex
	letters  []*letter
	answered map[string]bool // addresses that had an answer to their first try
	peace    bool            // receivers take what they refused for a time
	taken    []relayTaken
	reports  []relayReport
	lives    []relayLife
	done     map[receipt]bool // by letter and recipient: taken by a receiver, or returned
	deferred map[string]int   // answers 4xx of the relay to its clients
	faults   []string
}

// relayTaken is a recipient's copy that a receiver took.
type relayTaken struct {
	n    int
	to   string
	qid  string // of the Received field
	life int    // of the gateway that sent it
}

// relayReport is a report that arrived at a sender: about a recipient.
type relayReport struct {
	id    string // in custody
	about claim
	n     int
	life  int // of the gateway that sent it
	to    string
}

// relayLife is one life of a gateway.
type relayLife struct {
	life    int
	point   string // where it was to be killed
	started bool
	waiting map[claim]bool // with started: found queued then

	dotTaken bool // killed at the final dot of a letter that its receiver took

	// Counted at the end: recipients still queued that a receiver had taken, or a
	// report was in custody about; and what therefore arrived once more.
	inFlight, torn       int
	twice, reportedTwice int
}

func newRelayBook(l *ledger) *relayBook {
	return &relayBook{ledger: l, answered: map[string]bool{}, done: map[receipt]bool{}, deferred: map[string]int{}}
}

// do changes the book.
func (b *relayBook) do(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// event is what random kills are counted by.
func (b *relayBook) event() { b.ledger.do(func() { b.ledger.events++ }) }

func (b *relayBook) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

func (b *relayBook) makePeace() { b.do(func() { b.peace = true }) }

func (b *relayBook) begins(life int, point string) {
	b.do(func() { b.lives = append(b.lives, relayLife{life: life, point: point}) })
}

// starts notes what the gateway found queued at the start of a life.
func (b *relayBook) starts(life int, waiting []claim) {
	b.do(func() {
		if n := len(b.lives); n == 0 || b.lives[n-1].life != life {
			b.lives = append(b.lives, relayLife{life: life})
		}
		last := &b.lives[len(b.lives)-1]
		last.started, last.waiting = true, map[claim]bool{}
		for _, c := range waiting {
			last.waiting[c] = true
		}
	})
}

// acknowledge notes the 250.
func (b *relayBook) acknowledge(m *letter) {
	b.do(func() { m.acked = true })
	b.event()
}

// missing is how many recipients acknowledged nothing arrived for.
func (b *relayBook) missing() (n int) {
	b.do(func() {
		for _, m := range b.letters {
			for _, to := range m.to {
				if m.acked && !b.done[receipt{n: m.n, to: to}] {
					n++
				}
			}
		}
	})
	return n
}

var (
	relaySubjectOf = regexp.MustCompile(`(?m)^Subject: relay (\d+)\r$`)
	queueIDOf      = regexp.MustCompile(`(?m)^\tid (\w+);?\r$`)
)

// receive notes what a receiver takes.
func (b *relayBook) receive(life int, from string, to []string, content []byte) {
	n, err := strconv.Atoi(match(relaySubjectOf, content))
	signed := b.ledger.signed(content)
	b.do(func() {
		if err != nil || n >= len(b.letters) {
			b.fault("mail from %q to %v that nobody sent:\n%.2000s", from, to, content)
			return
		}
		if signed != nil {
			b.fault("letter %d to %v left without a good signature: %v\n%.2000s", n, to, signed, content)
		}
		if from == "" {
			b.noteReport(life, n, to, content)
			return
		}
		m := b.letters[n]
		if m.from != from || !bytes.HasSuffix(content, m.content()) {
			b.fault("letter %d to %v is not what was sent", n, to)
		}
		qid := match(queueIDOf, content)
		for _, r := range to {
			if !slices.Contains(m.to, r) {
				b.fault("letter %d arrived for %s, it was for %v", n, r, m.to)
			}
			b.taken = append(b.taken, relayTaken{n, r, qid, life})
			b.done[receipt{n: n, to: r}] = true
		}
	})
	b.event()
}

// noteReport notes a report that arrives at the sender.
func (b *relayBook) noteReport(life, n int, to []string, content []byte) {
	m := b.letters[n]
	if len(to) != 1 || to[0] != m.from {
		b.fault("letter %d came back to %v, its sender is %s", n, to, m.from)
	}
	id, about := match(custodyOf, content), match(returnedOf, content)
	failed := finalRcptOf.FindAllSubmatch(content, -1)
	if id == "" || about == "" || len(failed) == 0 {
		b.fault("letter %d came back with a report on nothing:\n%s", n, content)
	}
	for _, r := range failed {
		to := string(r[1])
		if !slices.Contains(m.to, to) || !isReturned(to) {
			b.fault("letter %d came back as not delivered to %s", n, to)
		}
		b.reports = append(b.reports, relayReport{id: id, about: claim{about, to}, n: n, life: life, to: m.from})
		b.done[receipt{n: n, to: to}] = true
	}
}
