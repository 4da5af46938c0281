package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Probes knows the probes under way, each by its nonce. The milter reports what it
// sees to Seen. The zero value is ready for use, by several goroutines.
type Probes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// Expect begins a probe. seen is closed when the milter has seen the nonce; cancel
// ends the probe and must be called.
func (p *Probes) Expect() (nonce string, seen <-chan struct{}, cancel func()) {
	nonce = rand.Text()
	arrived := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[string]chan struct{}{}
	}
	p.waiting[nonce] = arrived
	return nonce, arrived, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, nonce)
	}
}

// Seen reports a nonce. One that is not expected, or no more, is ignored.
func (p *Probes) Seen(nonce string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if arrived, ok := p.waiting[nonce]; ok {
		delete(p.waiting, nonce)
		close(arrived)
	}
}

// probe finds out whether the MTA passes mail through this milter: it begins a
// message from an address with a nonce, gives it up, and waits for the milter to
// report the nonce. The second EHLO is for Postfix, which shows a milter what needs
// no answer only together with what does.
//
// A temporary answer of the MTA proves nothing: it is a *refusal. The probe's sender
// may be refused for good although the milter sees it; then all is well.
func (r *Reinjector) probe(ctx context.Context, client *smtp.Client, m *spool.Message) error {
	nonce, seen, cancel := r.Probes.Expect()
	defer cancel()
	refused := unlessYes(client.Mail(r.probeSender(m, nonce).String(), nil))
	if connectionLost(refused) {
		return fmt.Errorf("probe for this milter at the MTA: %w", refused)
	}
	if err := unlessYes(client.Reset()); err != nil {
		return fmt.Errorf("end the probe for this milter at the MTA: %w", err)
	}
	if err := client.Hello(string(r.Hostname)); err != nil {
		return fmt.Errorf("greet the MTA at %s again: %w", r.Address, err)
	}
	select {
	case <-seen:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(cmp.Or(r.ProbeTimeout, probeTimeout)):
	}
	switch {
	case refused == nil:
		return spool.ErrBypassed
	case isPermanent(refused):
		return fmt.Errorf("%w: its answer to a probe was: %w", spool.ErrBypassed, refused)
	}
	return &refusal{"the MTA refused a probe for this milter", refused}
}

// probeSender is in the domain of the message's sender, so that the MTA objects to
// it only if it would to that one. Bounces are probed for from our own name.
func (r *Reinjector) probeSender(m *spool.Message, nonce string) mail.Address {
	domain := cmp.Or(m.Envelope.From.Domain, r.Hostname)
	return mail.Address{Local: spool.ProbePrefix + nonce, Domain: domain}
}
