// Package gate is the one way a message takes. At the end of the header it knows
// the author, the envelope, the keys and what DNS publishes, and decides for every
// recipient; then the body streams through it once, and it gives the signatures.
//
//	Begin ──► Refusal? ──► Write … Write ──► Finish ──► Outcome
//
// The doors (milter, SMTP relay) do what the Outcome says; custody is theirs.
package gate

import (
	"context"
	"net/netip"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// Policy says what to do with mail of one kind.
type Policy string

const (
	PolicyPass   Policy = "pass"
	PolicyHold   Policy = "hold"
	PolicyReject Policy = "reject"
	PolicyDefer  Policy = "defer"
)

// Config is what the site decides.
type Config struct {
	Observe  bool         // sign, judge and count, but let everything pass
	Refused  Policy       // a permanent refusal is predicted: hold, reject or pass
	Unknown  Policy       // DNS gave no answer: hold, defer or pass
	Foreign  Policy       // From domain without a key here: pass, hold or reject
	Hostname mail.Domain  // the name we say in HELO
	Egress   []netip.Addr // every address mail leaves from

	Bulk   func(mail.Domain) bool          // whether a From domain sends in bulk; nil: none does
	Expire func(mail.Domain) time.Duration // lifetime of signatures (x=); nil or 0: none

	JudgeTime time.Duration // for all that DNS is asked; what isn't known then is unknown; 0: 5 s
}

// Checker is what the gate needs of preflight.
type Checker interface {
	Check(ctx context.Context, id preflight.Identity) *preflight.Report
	Recheck(ctx context.Context, id preflight.Identity) *preflight.Report
	Provider(ctx context.Context, recipient mail.Domain) preflight.Provider
}

// Gate judges and signs. It is immutable and safe for concurrent use: a reload
// builds a new one, and a message keeps the one it began with.
type Gate struct {
	cfg     Config
	keys    *sign.Keyring
	checker Checker
	txt     LookupTXT
}

// LookupTXT gives the TXT records of a name, for verifying a signature that is
// already on a message.
type LookupTXT func(ctx context.Context, name string) ([]string, error)

// New builds a gate.
func New(cfg Config, keys *sign.Keyring, checker Checker, txt LookupTXT) *Gate {
	if cfg.Bulk == nil {
		cfg.Bulk = func(mail.Domain) bool { return false }
	}
	if cfg.Expire == nil {
		cfg.Expire = func(mail.Domain) time.Duration { return 0 }
	}
	return &Gate{cfg: cfg, keys: keys, checker: checker, txt: txt}
}

// Keys returns the keyring the gate signs with.
func (g *Gate) Keys() *sign.Keyring { return g.keys }

// Identity is what a verdict on mail of this author and sender depends on.
func (g *Gate) Identity(from mail.Domain, sender mail.Address) preflight.Identity {
	return g.identity(from, sender, g.keys.For(from))
}

func (g *Gate) identity(from mail.Domain, sender mail.Address, keys []sign.Key) preflight.Identity {
	id := preflight.Identity{
		From:     from,
		MailFrom: sender.Domain,
		Helo:     g.cfg.Hostname,
		Egress:   g.cfg.Egress,
	}
	for _, k := range keys {
		id.Keys = append(id.Keys, preflight.Key{Domain: k.Domain, Selector: k.Selector, Public: k.Signer.Public(), Standby: k.Standby})
	}
	return id
}
