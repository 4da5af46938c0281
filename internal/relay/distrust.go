package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	Rule     string            `json:"rule"`
	Reply    string            `json:"reply"`
	Host     string            `json:"host"`
	At       time.Time         `json:"at"`
	Findings map[string]string `json:"findings"` // of that moment: a digest for each check that could be made
}

// outdated reports whether a check finds now what it didn't then. One that can't be
// made now tells nothing.
func (r Refusal) outdated(now map[string]string) bool {
	for check, found := range now {
		if r.Findings[check] != found {
			return true
		}
	}
	return false
}

// IdentityOf is what the mail to a recipient is refused or taken by.
func IdentityOf(m *spool.Message, r *spool.Recipient) Identity {
	return identityAt(m, r, r.Provider)
}

func identityAt(m *spool.Message, r *spool.Recipient, provider string) Identity {
	switch provider {
	case "", "other", "unknown":
		provider = string(r.Address.Domain)
	}
	return Identity{From: m.From.Domain, MailFrom: m.Envelope.From.Domain, Provider: provider}
}

// Distrusted returns the refusal for which mail of an identity is held, without
// asking the provider again. It ends when the findings change, or by Trust, and is
// kept over a restart.
func (e *Engine) Distrusted(ctx context.Context, id Identity) (Refusal, bool) {
	e.recall(ctx)
	r, ok := e.distrust.get(id)
	if !ok {
		return Refusal{}, false
	}
	if r.outdated(e.findings(ctx, id)) {
		e.forget(ctx, id)
		return Refusal{}, false
	}
	e.keepLate(ctx, id)
	return r, true
}

// Trust has mail of an identity tried again: a reviewer says so.
func (e *Engine) Trust(ctx context.Context, id Identity) {
	e.recall(ctx)
	e.forget(ctx, id)
}

// findings are a digest of what each check finds.
func (e *Engine) findings(ctx context.Context, id Identity) map[string]string {
	digests := map[string]string{}
	if e.o.Findings == nil {
		return digests
	}
	for check, found := range e.o.Findings(ctx, id.From, id.MailFrom) {
		sum := sha256.Sum256([]byte(found))
		digests[check] = hex.EncodeToString(sum[:16])
	}
	return digests
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

// learn remembers refusals, and forgets them where mail was taken. Who said it is told by
// the server's name, as nothing may have been known of it when the message was taken.
func (e *Engine) learn(ctx context.Context, m *spool.Message, fates []*fate) {
	for _, f := range fates {
		id := identityAt(m, &f.to, providerOf(f.host, f.to.Provider))
		switch {
		case f.outcome == held && f.why == "":
			e.note(ctx, id, Refusal{Rule: f.rule, Reply: f.words, Host: f.host, At: e.o.Now(), Findings: e.findings(ctx, id)})
		case f.outcome == delivered:
			e.forget(ctx, id)
			e.forget(ctx, IdentityOf(m, &f.to)) // which may be another
		}
	}
}
