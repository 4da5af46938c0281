package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mtatest"
	"mailgate/internal/spool"
)

// claim is a recipient of a message in custody.
type claim struct{ id, to string }

// receipt is one arrival of a letter.
type receipt struct {
	n      int
	to     string
	id     string // in custody; empty: it passed at once
	life   int    // of the gateway that let it go
	bounce bool   // came back to its sender
}

// ledger compares what clients were promised with what arrived.
type ledger struct {
	txt func(string) ([]string, error) // keys, whatever DNS says at the moment

	mu       sync.Mutex
	changed  *sync.Cond
	letters  []*letter
	arrived  map[int]map[string]int // letter, recipient: receipts
	missing  int                    // recipients acknowledged, and not arrived
	of       map[string]int         // them by sender
	receipts []receipt              // in the order of arrival
	notices  notices
	reviews  reviews
	queued   map[claim][]int // found queued at the start of which lives
	deferred map[string]int  // answers 4xx of the gateway itself
	faults   []string
	events   int    // acknowledgements and arrivals
	alarm    func() // called once at event number at
	at       int
}

func newLedger(txt func(string) ([]string, error)) *ledger {
	l := &ledger{
		txt: txt, arrived: map[int]map[string]int{}, of: map[string]int{}, queued: map[claim][]int{},
		deferred: map[string]int{}, notices: newNotices(), reviews: newReviews(),
	}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// do changes the books.
func (l *ledger) do(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if l.alarm != nil && l.events >= l.at {
		l.alarm()
		l.alarm = nil
	}
	l.changed.Broadcast()
}

// after calls f when n more events were noted, if cancel isn't called before.
func (l *ledger) after(n int, f func()) (cancel func()) {
	l.do(func() { l.alarm, l.at = f, l.events+n })
	return func() { l.do(func() { l.alarm = nil }) }
}

// waits reports whether some of the sender's mail was acknowledged and has not
// arrived.
func (l *ledger) waits(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[from] > 0
}

// foundQueued notes what the gateway found at the start of a life.
func (l *ledger) foundQueued(list []claim, life int) {
	l.do(func() {
		for _, c := range list {
			l.queued[c] = append(l.queued[c], life)
		}
	})
}

// wait blocks until a condition holds.
func (l *ledger) wait(holds func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !holds() {
		l.changed.Wait()
	}
}

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// acknowledge notes the 250.
func (l *ledger) acknowledge(m *letter) {
	l.do(func() {
		m.acked = true
		l.events++
		for _, to := range m.to {
			if l.waitsFor(m.n, to) {
				l.missing++
				l.of[m.from]++
			}
		}
	})
}

// waitsFor reports whether a recipient of a letter has neither got it nor been
// discarded.
func (l *ledger) waitsFor(n int, to string) bool {
	return l.arrived[n][to] == 0 && !l.reviews.thrown[receipt{n: n, to: to}]
}

var (
	subjectOf   = regexp.MustCompile(`(?m)^Subject: crash (\d+)\r$`)
	custodyOf   = regexp.MustCompile(`(?m)^\tby \S+ \(mailgate\) id (\w+);\r$`)
	returnedOf  = regexp.MustCompile(`(?m)^X-Mailgate-ID: (\w+)\r$`)
	delayedOf   = regexp.MustCompile(`(?m)^Action: delayed\r$`)
	finalRcptOf = regexp.MustCompile(`(?m)^Final-Recipient: rfc822; ([^\r]+)\r\nAction: failed\r$`)
)

// receive notes what arrives, from the gateway's given life.
func (l *ledger) receive(m mtatest.Mail, life int) {
	subject := match(subjectOf, m.Content)
	signed := l.signed(m.Content)
	l.do(func() {
		l.events++
		if m.From == "" && m.To == crashPostmaster {
			l.noteDigest(m.Content, life)
			return
		}
		n, err := strconv.Atoi(subject)
		if err != nil {
			l.fault("mail to %s that nobody sent:\n%s", m.To, m.Content)
			return
		}
		if n >= len(l.letters) {
			l.fault("letter %d, which nobody wrote, to %s", n, m.To)
			return
		}
		if signed != nil {
			l.fault("letter %d to %s left without a good signature: %v", n, m.To, signed)
		}
		l.checkReceipt(l.letters[n], m)
		if id := match(returnedOf, m.Content); m.From == "" && delayedOf.Match(m.Content) {
			l.noteDelay(id, life)
			return
		}
		for _, r := range receiptsOf(m) {
			r.n, r.life = n, life
			l.note(r)
		}
	})
}

// receiptsOf is one receipt, or one for each recipient a bounce is about.
func receiptsOf(m mtatest.Mail) []receipt {
	if m.From != "" {
		return []receipt{{to: m.To, id: match(custodyOf, m.Content)}}
	}
	id := match(returnedOf, m.Content)
	var list []receipt
	for _, to := range finalRcptOf.FindAllSubmatch(m.Content, -1) {
		list = append(list, receipt{to: string(to[1]), id: id, bounce: true})
	}
	return list
}

// match is what the pattern's group found near the beginning, or "".
func match(pattern *regexp.Regexp, content []byte) string {
	if found := pattern.FindSubmatch(content[:min(len(content), 16<<10)]); found != nil {
		return string(found[1])
	}
	return ""
}

func (l *ledger) note(r receipt) {
	l.receipts = append(l.receipts, r)
	m := l.letters[r.n]
	if !slices.Contains(m.to, r.to) {
		l.fault("letter %d arrived for %s, it was for %v", r.n, r.to, m.to)
		return
	}
	if l.reviews.discarded[claim{r.id, r.to}] {
		l.fault("letter %d arrived for %s after it was discarded", r.n, r.to)
	}
	if m.acked && l.waitsFor(r.n, r.to) {
		l.missing--
		l.of[m.from]--
	}
	if l.arrived[r.n] == nil {
		l.arrived[r.n] = map[string]int{}
	}
	l.arrived[r.n][r.to]++
}

// signed returns why a message has not one good signature.
func (l *ledger) signed(content []byte) error {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(content), &dkim.VerifyOptions{LookupTXT: l.txt})
	if err == nil && len(results) != 1 {
		return fmt.Errorf("%d signatures", len(results))
	}
	if err == nil {
		err = results[0].Err
	}
	return err
}

// checkReceipt: complete, and without a trace of the token.
func (l *ledger) checkReceipt(sent *letter, m mtatest.Mail) {
	if bytes.Contains(m.Content, []byte(spool.TokenHeader)) {
		l.fault("letter %d to %s shows its token", sent.n, m.To)
	}
	if m.From == "" {
		if m.To != sent.from {
			l.fault("letter %d came back to %s, its sender is %s", sent.n, m.To, sent.from)
		}
		return
	}
	if m.From != sent.from || !bytes.HasSuffix(m.Content, sent.content()) {
		l.fault("letter %d to %s is not what was sent", sent.n, m.To)
	}
}
