package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// What a receiver answers is told by the address: before its first dot is one of
// these words. Those that begin with "dot" are answered after the message.
const (
	willTake     = "take"
	willWait     = "later" // 451 the first time
	willReturn   = "no"    // 550, always
	willHold     = "auth"  // 550 5.7.26 the first time
	dotWait      = "dotlater"
	dotReturn    = "dotno"
	dotHold      = "dotauth"
	dotGone      = "dotgone"    // the first time the connection ends, and nothing was taken
	relayPicky   = "gmail.test" // holds mail of broken senders, too
	relayPatient = "other.test"
)

func kindOf(to string) string { kind, _, _ := strings.Cut(to, "."); return kind }

// isReturned reports whether mail to an address comes back.
func isReturned(to string) bool { return kindOf(to) == willReturn || kindOf(to) == dotReturn }

// write makes the next letter for the relay.
func (b *relayBook) write(from string, large bool) *letter {
	m := &letter{from: from, large: large, relay: true}
	b.do(func() {
		m.n = len(b.letters)
		m.to = relayRecipients(m.n)
		b.letters = append(b.letters, m)
	})
	return m
}

// relayRecipients are refused one by one, or all after the message, or not at all.
func relayRecipients(n int) (to []string) {
	if kinds := []string{dotWait, dotReturn, dotHold, dotGone}; rand.IntN(3) == 0 {
		kind, domain := kinds[rand.IntN(len(kinds))], pickDomain()
		for i := range 1 + rand.IntN(2) {
			to = append(to, fmt.Sprintf("%s.%d.%d@%s", kind, n, i, domain))
		}
		return to
	}
	returning := pickDomain() // one report is enough at a time
	for i := range 1 + rand.IntN(4) {
		kind, domain := []string{willTake, willTake, willWait, willReturn, willHold}[rand.IntN(5)], pickDomain()
		if kind == willReturn {
			domain = returning
		}
		to = append(to, fmt.Sprintf("%s.%d.%d@%s", kind, n, i, domain))
	}
	return to
}

func pickDomain() string { return []string{relayPicky, relayPatient}[rand.IntN(2)] }
