package gate

import (
	"context"
	"fmt"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// Verdict is the judgement on mail of one author from one sender to some
// recipients.
type Verdict struct {
	Recipients []Recipient
	Report     *preflight.Report // nil when nothing was pre-flighted

	keys      []sign.Key
	providers []preflight.Provider // of each recipient
	sender    mail.Address
}

type checkFunc func(context.Context, preflight.Identity) *preflight.Report

// Judge says what would become now of mail of this author, from memory where it
// may.
func (g *Gate) Judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) Verdict {
	return g.judge(ctx, from, sender, to, g.checker.Check)
}

// JudgeAfresh does what Judge does, and asks DNS again.
func (g *Gate) JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) Verdict {
	return g.judge(ctx, from, sender, to, g.checker.Recheck)
}

func (g *Gate) judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address, check checkFunc) Verdict {
	v := Verdict{sender: sender, keys: g.keys.For(from)}
	if len(v.keys) == 0 {
		v.Recipients = uniform(to, g.foreign(sender), CauseForeign).Recipients
		return v
	}
	v.Report = check(ctx, g.Identity(from, sender))
	v.Recipients = make([]Recipient, len(to))
	v.providers = make([]preflight.Provider, len(to))
	known := make(map[mail.Domain]preflight.Provider, 1)
	for i, address := range to {
		provider, ok := known[address.Domain]
		if !ok {
			provider = g.checker.Provider(ctx, address.Domain)
			known[address.Domain] = provider
		}
		v.Recipients[i].Address = address
		v.providers[i] = provider
	}
	g.judgeWith(&v, preflight.Extra{Bulk: g.cfg.Bulk(from)})
	return v
}

// released judges for the record only: everything passes.
func (g *Gate) released(ctx context.Context, from mail.Domain, env mail.Envelope) Verdict {
	v := g.judge(ctx, from, env.From, env.To, g.checker.Check)
	for i := range v.Recipients {
		v.Recipients[i].Disposition = Pass
	}
	return v
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
	g.unmix(v.Recipients)
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

func (g *Gate) foreign(sender mail.Address) Disposition { return g.apply(g.cfg.Foreign, sender) }

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
func (g *Gate) unmix(recipients []Recipient) {
	passing := 0
	for _, r := range recipients {
		if r.Disposition == Pass || r.Disposition == Hold {
			passing++
		}
	}
	if passing == 0 {
		return
	}
	for i := range recipients {
		if d := recipients[i].Disposition; d == Reject || d == Defer {
			recipients[i].Disposition = Hold
		}
	}
}

func uniform(to []mail.Address, d Disposition, c Cause) Verdict {
	v := Verdict{Recipients: make([]Recipient, len(to))}
	for i, address := range to {
		v.Recipients[i] = Recipient{Address: address, Disposition: d, Cause: c}
	}
	if d == Pass {
		for i := range v.Recipients {
			v.Recipients[i].Cause = CauseNone
		}
	}
	return v
}

// refusal is the reply when no recipient passes or is held; nil otherwise. A mix
// of reject and defer is deferred.
func (v *Verdict) refusal(from mail.Address) *Reply {
	var first *Recipient
	for i := range v.Recipients {
		r := &v.Recipients[i]
		switch r.Disposition {
		case Pass, Hold:
			return nil
		case Defer:
			return &Reply{Code: 451, Enhanced: "4.4.3", Text: "mailgate is waiting for DNS: " + r.reason(from)}
		}
		if first == nil {
			first = r
		}
	}
	if first == nil {
		return nil
	}
	if first.Cause == CauseForeign {
		return &Reply{Code: 550, Enhanced: "5.7.1", Text: first.reason(from)}
	}
	return &Reply{Code: 550, Enhanced: "5.7.26", Text: "mailgate: " + first.reason(from)}
}

// reason is the first finding code with its sentence.
func (r *Recipient) reason(from mail.Address) string {
	if r.Cause == CauseForeign {
		return fmt.Sprintf("no signing key for %s here", from.Domain)
	}
	why := r.Prediction.Why
	if len(r.Prediction.Codes) > 0 {
		why = strings.Join(r.Prediction.Codes, ", ") + ": " + why
	}
	return why
}

// Why says in one sentence what becomes of the message.
func (v *Verdict) Why(from mail.Address) string {
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
		sentence += ": " + cause.reason(from)
	}
	return sentence
}
