package smtpd

import (
	"context"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
)

// Gate decides on messages.
type Gate interface {
	Begin(ctx context.Context, env mail.Envelope, header mail.Header, trusted bool) Transaction
}

// Transaction is one message in the gate; see gate.Transaction.
type Transaction interface {
	Refusal() *gate.Reply
	NeedsBody() bool
	Write(p []byte) (int, error)
	Finish(ctx context.Context) *gate.Outcome
	Explain() *gate.Outcome
	Err() error
	Cancel()
}

// Current is the Gate that asks for the gate in force at the begin of each
// message, so that a reload never changes a message under way.
type Current func() *gate.Gate

// Begin implements Gate.
func (current Current) Begin(ctx context.Context, env mail.Envelope, header mail.Header, trusted bool) Transaction {
	return current().Begin(ctx, env, header, trusted)
}
