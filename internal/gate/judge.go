package gate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// Verdict is the judgement on mail of one author from one sender to some
// recipients.
type Verdict struct {
	Recipients []Recipient
	Report     *preflight.Report // nil when nothing was pre-flighted

	keys      []sign.Key           // that sign
	providers []preflight.Provider // of each recipient
	sender    mail.Address
}

type checkFunc func(context.Context, preflight.Identity) *preflight.Report

// Judge says of held mail whether it would be taken now, from memory where it may:
// Pass or Hold. The site's policy for new mail doesn't count: to let what is held
// go all the same is a reviewer's decision.
func (g *Gate) Judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) Verdict {
	return g.strict().judge(ctx, from, sender, to, g.checker.Check)
}

// JudgeAfresh does what Judge does, and asks DNS again.
func (g *Gate) JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) Verdict {
	return g.strict().judge(ctx, from, sender, to, g.checker.Recheck)
}

// Foretell says what would be done with mail to one recipient, by the site's policy
// for new mail, before there is a message: the author is taken to be of domain from.
// It returns nil where it would not be refused.
func (g *Gate) Foretell(ctx context.Context, from mail.Domain, sender, to mail.Address) *Reply {
	v := g.judge(ctx, from, sender, []mail.Address{to}, g.checker.Check)
	return v.refusal()
}

// strict is the gate with a policy that holds all that isn't sure to pass.
func (g *Gate) strict() *Gate {
	s := *g
	s.cfg.Observe = false
	s.cfg.Refused, s.cfg.Unknown, s.cfg.Foreign = PolicyHold, PolicyHold, PolicyHold
	return &s
}

func (g *Gate) judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address, check checkFunc) Verdict {
	v := Verdict{sender: sender}
	keys := g.keys.For(from)
	if len(keys) == 0 {
		code, why := codeNoKey, fmt.Sprintf("no signing key for %s here", from)
		if from == "" {
			code, why = codeNoAuthor, "From doesn't have exactly one usable address, so no key can sign it"
		}
		v.Recipients = foreign(to, g.apply(g.cfg.Foreign, sender), code, why)
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, g.judgeTime())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { v.providers = g.providersOf(ctx, to) })
	v.Report = check(ctx, g.identity(from, sender, keys))
	v.keys = signers(keys, v.Report)
	wg.Wait()
	v.Recipients = make([]Recipient, len(to))
	for i, address := range to {
		v.Recipients[i].Address = address
	}
	g.judgeWith(&v, preflight.Extra{Bulk: g.cfg.Bulk(from)})
	return v
}

const (
	judgeTime      = 5 * time.Second
	providersAside = 16 // recipient domains asked about at the same time
)

func (g *Gate) judgeTime() time.Duration { return cmp.Or(g.cfg.JudgeTime, judgeTime) }

// providersOf tells who runs the mail of each recipient.
func (g *Gate) providersOf(ctx context.Context, to []mail.Address) []preflight.Provider {
	known := make(map[mail.Domain]*preflight.Provider, 1)
	var group errgroup.Group
	group.SetLimit(providersAside)
	for _, address := range to {
		d := address.Domain
		if known[d] != nil {
			continue
		}
		p := new(preflight.Provider)
		known[d] = p
		group.Go(func() error {
			*p = g.checker.Provider(ctx, d)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	providers := make([]preflight.Provider, len(to))
	for i, address := range to {
		providers[i] = *known[address.Domain]
	}
	return providers
}

// judgeWith fills in prediction and disposition of every recipient.
func (g *Gate) judgeWith(v *Verdict, extra preflight.Extra) {
	predictions := make(map[preflight.Provider]preflight.Prediction, 1)
	for i := range v.Recipients {
		provider := v.providers[i]
		p, ok := predictions[provider]
		if !ok {
			p = preflight.Predict(provider, v.Report, extra)
			predictions[provider] = p
		}
		r := &v.Recipients[i]
		r.Prediction = p
		r.Disposition, r.Cause = g.dispose(p, v.sender)
	}
	unmix(v.Recipients)
}

// leaveOpen makes refusals unknown that the given signatures would turn, if DNS
// told that they are valid.
func (g *Gate) leaveOpen(v *Verdict, extra preflight.Extra, open []mail.Domain) {
	if len(open) == 0 {
		return
	}
	extra.Signature = append(slices.Clone(extra.Signature), open...)
	for i := range v.Recipients {
		r := &v.Recipients[i]
		if r.Prediction.Verdict != preflight.Refuse ||
			preflight.Predict(v.providers[i], v.Report, extra).Verdict == preflight.Refuse {
			continue
		}
		r.Prediction.Verdict, r.Prediction.Reply = preflight.UnknownVerdict, ""
		r.Prediction.Why = fmt.Sprintf("DNS gives no answer about the signature of %s on the message", open[0])
		r.Disposition, r.Cause = g.dispose(r.Prediction, v.sender)
	}
	unmix(v.Recipients)
}

// dispose applies the site's policy to a prediction.
func (g *Gate) dispose(p preflight.Prediction, sender mail.Address) (Disposition, Cause) {
	switch p.Verdict {
	case preflight.Refuse:
		return g.apply(g.cfg.Refused, sender), CauseRefused
	case preflight.UnknownVerdict:
		return g.apply(g.cfg.Unknown, sender), CauseWaiting
	}
	return Pass, CauseNone
}

// apply turns a policy into a disposition. A bounce is never rejected, since
// nobody would hear of it: it is held.
func (g *Gate) apply(p Policy, sender mail.Address) Disposition {
	switch {
	case g.cfg.Observe || p == PolicyPass:
		return Pass
	case p == PolicyReject && sender.IsNull():
		return Hold
	case p == PolicyReject:
		return Reject
	case p == PolicyDefer:
		return Defer
	}
	return Hold
}

// unmix makes a refusal of some recipients a hold of these: at the end of the
// header SMTP can only answer for all.
func unmix(recipients []Recipient) {
	if !someAre(recipients, Pass) && !someAre(recipients, Hold) {
		return
	}
	for i := range recipients {
		if d := recipients[i].Disposition; d == Reject || d == Defer {
			recipients[i].Disposition = Hold
		}
	}
}

// What mail without a key is held for, as finding codes.
const (
	codeNoKey    = "dkim-no-key"
	codeNoAuthor = "from-unusable"
)

// foreign is the disposition of mail that no key here signs, and why.
func foreign(to []mail.Address, d Disposition, code, why string) []Recipient {
	recipients := uniform(to, d, CauseForeign)
	for i := range recipients {
		recipients[i].Prediction.Why = why
		if d != Pass {
			recipients[i].Prediction.Codes = []string{code}
		}
	}
	return recipients
}

// uniform is the same disposition for every recipient. What passes has no cause.
func uniform(to []mail.Address, d Disposition, c Cause) []Recipient {
	if d == Pass {
		c = CauseNone
	}
	recipients := make([]Recipient, len(to))
	for i, address := range to {
		recipients[i] = Recipient{Address: address, Disposition: d, Cause: c}
	}
	return recipients
}

// refusal is the reply when no recipient passes or is held; nil otherwise. A mix
// of reject and defer is deferred.
func (v *Verdict) refusal() *Reply {
	var first *Recipient
	for i := range v.Recipients {
		r := &v.Recipients[i]
		switch r.Disposition {
		case Pass, Hold:
			return nil
		case Defer:
			return &Reply{Code: 451, Enhanced: "4.4.3", Text: "mailgate is waiting for DNS: " + r.reason()}
		}
		if first == nil {
			first = r
		}
	}
	if first == nil {
		return nil
	}
	if first.Cause == CauseForeign {
		return &Reply{Code: 550, Enhanced: "5.7.1", Text: first.reason()}
	}
	return &Reply{Code: 550, Enhanced: "5.7.26", Text: "mailgate: " + first.reason()}
}

// reason is the first finding code with its sentence.
func (r *Recipient) reason() string {
	why := r.Prediction.Why
	if len(r.Prediction.Codes) > 0 {
		why = strings.Join(r.Prediction.Codes, ", ") + ": " + why
	}
	return why
}

// Why says in one sentence what becomes of the message.
func (v *Verdict) Why() string {
	counts := map[Disposition]int{}
	var cause *Recipient
	for i := range v.Recipients {
		r := &v.Recipients[i]
		counts[r.Disposition]++
		if cause == nil && r.Cause != CauseNone {
			cause = r
		}
	}
	var parts []string
	for _, d := range []Disposition{Pass, Hold, Defer, Reject} {
		if n := counts[d]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", d, n))
		}
	}
	sentence := strings.Join(parts, ", ")
	if cause != nil {
		sentence += ": " + cause.reason()
	}
	return sentence
}
