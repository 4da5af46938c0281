package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// letter is one message as its client knows it. Whoever reads it later finds n in
// its subject.
type letter struct {
	n     int
	from  string
	to    []string
	large bool // of several pieces in the store
	relay bool // goes through the relay

	acked  bool // the client has its 250
	broken int  // tries that ended with the gateway, after which nobody knows
}

// crashLines is how many lines of 64 bytes a large letter has: the store keeps it in
// three pieces.
const crashLines = 600 << 10 / 64

// write makes the next letter: to those whose copy is held when its sender's domain
// is broken, to one whose copy is not, or to both.
func (l *ledger) write(from string, large bool) *letter {
	const held, other = "bob@gmail.test", "carol@other.test"
	m := &letter{from: from, large: large}
	switch rand.IntN(6) {
	case 0:
		m.to = []string{other}
	case 1, 2:
		m.to = []string{other, held, "dora@gmail.test"}
	default:
		m.to = []string{held}
	}
	l.do(func() {
		m.n = len(l.letters)
		l.letters = append(l.letters, m)
	})
	return m
}

// content is the same at every call.
func (m *letter) content() []byte {
	var b bytes.Buffer
	subject := "crash"
	if m.relay {
		subject = "relay"
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s %d\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@%s>\r\n\r\n",
		m.from, strings.Join(m.to, ", "), subject, m.n, m.n, subject)
	r := rand.New(rand.NewPCG(1, uint64(m.n)))
	lines := 1 + r.IntN(40)
	if m.large {
		lines = crashLines
	}
	line := fmt.Sprintf("%016x%016x%016x%014x\r\n", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()>>8)
	b.WriteString(strings.Repeat(line, lines))
	return b.Bytes()
}
