package milter

import (
	"slices"
	"sync"
	"testing"

	mta "github.com/d--j/go-milter"
)

// probes keeps the nonces a server has seen.
type probes struct {
	mu   sync.Mutex
	seen []string
}

func (p *probes) add(nonce string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, nonce)
}

func (p *probes) want(t *testing.T, nonces ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.seen, nonces) {
		t.Errorf("probes %q, want %q", p.seen, nonces)
	}
}

// Postfix shows a probe only when something after it wants an answer: a HELO must.
func TestProbe(t *testing.T) {
	p := &probes{}
	r := start(t, func(s *Server) { s.Probed = p.add })
	c := r.raw(t)
	c.send(conversation(opening, encode('M', "<mailgate-probe-x1@example.com>\x00"), encode('A', ""),
		encode('H', "mx1.example.com\x00")))
	c.opened()
	c.wants('c')
	p.want(t, "x1")
}

// A message with such a sender is a message like any other.
func TestProbeGoesOn(t *testing.T) {
	p := &probes{}
	r := start(t, func(s *Server) { s.Probed = p.add })
	s := r.session(t, stranger)
	s.send(hello("bob@example.net")).want(t, mta.ActionAccept)
	l := hello("bob@example.net")
	l.from = "mailgate-probe-x2@example.com"
	s.send(l).want(t, mta.ActionAccept)
	p.want(t, "x2")
	if from := r.gate.last(t).env.From.Local; from != "mailgate-probe-x2" {
		t.Errorf("the gate saw %s", from)
	}
	start(t, nil).session(t, trustedClient).send(l).want(t, mta.ActionAccept) // nobody wants to know
}
