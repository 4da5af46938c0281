package gate

import (
	"context"
	"errors"
	"fmt"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// Transaction is one message on its way. It is used by one goroutine.
type Transaction struct {
	gate     *Gate
	env      mail.Envelope
	header   mail.Header
	from     mail.Address
	verdict  Verdict
	why      string // set when the message wasn't judged
	refusal  *Reply
	stream   *sign.Stream
	existing *verification // signatures already on the message, when the verdict hangs on them
	failed   error
}

// Begin takes envelope and header and decides. trusted says that the client may
// have its mail signed. It never fails: what can't be decided is deferred.
func (g *Gate) Begin(ctx context.Context, env mail.Envelope, header mail.Header, trusted bool) *Transaction {
	t := &Transaction{gate: g, env: env, header: header}
	if !trusted {
		t.passUntouched("not from a trusted client: left as it is")
		return t
	}
	if !t.findAuthor() {
		return t
	}
	t.verdict = g.judge(ctx, t.from.Domain, env.From, env.To, g.checker.Check)
	if domains := alignedSignatures(header, t.verdict.Report); g.hangsOn(t.verdict, domains) {
		t.existing = g.startVerification(ctx, header, domains)
	} else if t.refusal = t.verdict.refusal(); t.refusal != nil {
		return t
	}
	t.startSigning()
	return t
}

// BeginReleased takes a message that comes back from custody: it is signed and
// passes, whatever DNS says now, because the release already decided. DNS only tells
// which of several keys sign.
func (g *Gate) BeginReleased(ctx context.Context, env mail.Envelope, header mail.Header) *Transaction {
	return g.beginReleased(ctx, env, header, g.keys.For)
}

// BeginOwn is BeginReleased for a message that mailgate wrote itself: a report of its
// host is signed by a parent domain's key where the host has none.
func (g *Gate) BeginOwn(ctx context.Context, env mail.Envelope, header mail.Header) *Transaction {
	return g.beginReleased(ctx, env, header, func(from mail.Domain) []sign.Key {
		if from == g.cfg.Hostname {
			return g.keys.ForHost(from)
		}
		return g.keys.For(from)
	})
}

func (g *Gate) beginReleased(ctx context.Context, env mail.Envelope, header mail.Header, keys func(mail.Domain) []sign.Key) *Transaction {
	t := &Transaction{gate: g, env: env, header: header}
	t.passUntouched("released")
	from, err := header.From()
	if err != nil {
		t.why = "released; it has no single author to sign for"
		return t
	}
	t.from = from
	t.verdict.keys = g.signersNow(ctx, from.Domain, env.From, keys(from.Domain))
	t.startSigning()
	return t
}

// findAuthor applies the one-From rule; false when it settled the message.
func (t *Transaction) findAuthor() bool {
	from, err := t.header.From()
	if err == nil {
		t.from = from
		return true
	}
	reason := err.Error()
	if t.gate.cfg.Observe || (t.env.From.IsNull() && t.gate.cfg.Foreign == PolicyPass) {
		t.passUntouched("not signed: " + reason)
		return false
	}
	if t.env.From.IsNull() {
		t.why = "held: " + reason
		t.verdict.Recipients = foreign(t.env.To, Hold, codeNoAuthor, reason)
		return false
	}
	t.why = "rejected: " + reason
	t.verdict.Recipients = uniform(t.env.To, Reject, CauseForeign)
	t.refusal = &Reply{Code: 550, Enhanced: "5.6.0", Text: "mailgate can't tell who wrote this: " + reason}
	return false
}

func (t *Transaction) passUntouched(why string) {
	t.why = why
	t.verdict.Recipients = uniform(t.env.To, Pass, CauseNone)
}

// startSigning begins with the keys there are, none for foreign mail. What is held
// is signed only at its release, but its body is looked at all the same: one that
// can't be signed must be told to the client now.
func (t *Transaction) startSigning() {
	if len(t.verdict.keys) == 0 {
		return
	}
	stream, err := sign.NewStream(t.verdict.keys, t.header, sign.Options{Expire: t.gate.cfg.Expire(t.from.Domain)})
	if err != nil {
		t.fail(fmt.Errorf("begin signing as %s: %w", t.from.Domain, err))
		return
	}
	t.stream = stream
}

// fail keeps a message that can't be signed from leaving unsigned: "try again
// later" for a fault of ours, a rejection for a body that never can be.
func (t *Transaction) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
	t.refusal = &Reply{Code: 451, Enhanced: "4.7.1", Text: "mailgate can't sign this message now, try again later"}
	unsignable := errors.Is(err, sign.ErrBareCR) || errors.Is(err, sign.ErrBlankLines)
	if unsignable && !t.env.From.IsNull() {
		t.refusal = &Reply{Code: 550, Enhanced: "5.6.0", Text: "mailgate can't sign this message: " + err.Error()}
	}
}

// Refusal is non-nil when the message is to be answered now, without its body.
func (t *Transaction) Refusal() *Reply { return t.refusal }

// NeedsBody reports whether the body matters: to sign it, or to keep it.
func (t *Transaction) NeedsBody() bool { return t.stream != nil || t.MayHold() }

// MayHold reports whether a recipient is, or may turn out to be, held, so that the
// door must keep the message's bytes.
func (t *Transaction) MayHold() bool {
	return someAre(t.verdict.Recipients, Hold) || t.existing != nil && gravest(t.verdict.Recipients) != Pass
}

// Write takes the next piece of the body: CRLF line ends, as it will be sent.
func (t *Transaction) Write(p []byte) (int, error) {
	if t.existing != nil {
		t.existing.Write(p)
	}
	if t.stream != nil {
		if _, err := t.stream.Write(p); err != nil {
			t.fail(fmt.Errorf("sign the body: %w", err))
			return 0, t.failed
		}
	}
	return len(p), nil
}

// Finish ends the body and gives the outcome. An error in the outcome's making is
// a deferral, and Err tells it.
func (t *Transaction) Finish(ctx context.Context) *Outcome {
	if t.existing != nil {
		t.reconsider(t.existing.Finish())
	}
	if t.refusal != nil || t.stream == nil || !someAre(t.verdict.Recipients, Pass) {
		t.Cancel()
		return t.outcome(nil)
	}
	signatures, err := t.stream.Finish()
	if err == nil && len(signatures) == 0 {
		err = errors.New("no signature was made")
	}
	if err != nil {
		t.fail(fmt.Errorf("sign as %s: %w", t.from.Domain, err))
		return t.outcome(nil)
	}
	return t.outcome(signatures)
}

// reconsider judges again with the signatures that proved valid. Those DNS gave no
// answer about leave open what they would change.
func (t *Transaction) reconsider(valid, open []mail.Domain) {
	extra := preflight.Extra{Bulk: t.gate.cfg.Bulk(t.from.Domain), Signature: valid}
	t.gate.judgeWith(&t.verdict, extra)
	t.gate.leaveOpen(&t.verdict, extra, open)
	if t.refusal == nil {
		t.refusal = t.verdict.refusal()
	}
}

func (t *Transaction) outcome(signatures []mail.Field) *Outcome {
	o := &Outcome{
		Refusal:    t.refusal,
		Signatures: signatures,
		Recipients: t.verdict.Recipients,
		Report:     t.verdict.Report,
		From:       t.from,
		Why:        t.why,
	}
	if t.failed != nil {
		d := Defer
		if t.refusal.Code >= 500 {
			d = Reject
		}
		o.Recipients = uniform(t.env.To, d, CauseNone)
		o.Why = fmt.Sprintf("%s: %s", d, t.failed)
	}
	if o.Why == "" {
		o.Why = t.verdict.Why()
	}
	return o
}

// Explain gives the outcome as known so far, for the log of a message that was
// refused before its body.
func (t *Transaction) Explain() *Outcome { return t.outcome(nil) }

// Err is the fault of ours that made the message a deferral, if any.
func (t *Transaction) Err() error { return t.failed }

// Cancel gives up a message; harmless after Finish.
func (t *Transaction) Cancel() {
	if t.stream != nil {
		t.stream.Cancel()
	}
	if t.existing != nil {
		t.existing.Cancel()
	}
}
