package relay

import (
	"context"
	"maps"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Identity is whose mail a provider refuses.
type Identity struct {
	From     mail.Domain // of the header
	MailFrom mail.Domain // of the envelope; empty for the null sender
	Provider string      // "google"; a recipient domain where the provider is none of those known
}

// Refusal is what a provider said to the last mail of an identity.
type Refusal struct {
	Rule     string
	Reply    string
	Host     string
	At       time.Time
	findings string
}

// distrust remembers who refuses whose mail. The zero value is ready for use.
type distrust struct {
	mu   sync.Mutex
	told map[Identity]Refusal
}

// maxDistrust bounds how many identities are remembered.
const maxDistrust = 10_000

func (d *distrust) note(id Identity, r Refusal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told == nil {
		d.told = map[Identity]Refusal{}
	}
	if _, known := d.told[id]; !known && len(d.told) >= maxDistrust {
		maps.DeleteFunc(d.told, func(_ Identity, old Refusal) bool { return r.At.Sub(old.At) > 24*time.Hour })
		if len(d.told) >= maxDistrust {
			clear(d.told) // the next mail of each finds out anew
		}
	}
	d.told[id] = r
}

func (d *distrust) forget(id Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.told, id)
}

func (d *distrust) get(id Identity) (Refusal, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.told[id]
	return r, ok
}

// IdentityOf is what the mail to a recipient is refused or taken by.
func IdentityOf(m *spool.Message, r *spool.Recipient) Identity {
	id := Identity{From: m.From.Domain, MailFrom: m.Envelope.From.Domain, Provider: r.Provider}
	switch r.Provider {
	case "", "other", "unknown":
		id.Provider = string(r.Address.Domain)
	}
	return id
}

// Distrusted returns the refusal for which mail of an identity is held, without
// asking the provider again. It ends when the findings change, or by Trust. It is
// not kept over a restart: then the next such message is tried.
func (e *Engine) Distrusted(ctx context.Context, id Identity) (Refusal, bool) {
	r, ok := e.distrust.get(id)
	if !ok {
		return Refusal{}, false
	}
	if e.findings(ctx, id) != r.findings {
		e.distrust.forget(id)
		return Refusal{}, false
	}
	return r, true
}

// Trust has mail of an identity tried again: a reviewer says so.
func (e *Engine) Trust(id Identity) { e.distrust.forget(id) }

func (e *Engine) findings(ctx context.Context, id Identity) string {
	if e.o.Findings == nil {
		return ""
	}
	return e.o.Findings(ctx, id.From, id.MailFrom)
}

// holdDistrusted decides the fates of recipients whose provider refused mail of
// this identity before.
func (e *Engine) holdDistrusted(ctx context.Context, m *spool.Message, fates []*fate) {
	for _, f := range fates {
		if r, ok := e.Distrusted(ctx, IdentityOf(m, &f.to)); ok {
			f.outcome, f.rule, f.words, f.host = held, r.Rule, r.Reply, r.Host
			f.why = "not tried: the provider refused mail of this sender on " + r.At.UTC().Format(time.DateTime) + " UTC"
		}
	}
}

// learn remembers refusals, and forgets them where mail was taken.
func (e *Engine) learn(ctx context.Context, m *spool.Message, fates []*fate) {
	for _, f := range fates {
		id := IdentityOf(m, &f.to)
		switch {
		case f.outcome == held && f.why == "":
			e.distrust.note(id, Refusal{Rule: f.rule, Reply: f.words, Host: f.host, At: e.o.Now(), findings: e.findings(ctx, id)})
		case f.outcome == delivered:
			e.distrust.forget(id)
		}
	}
}
