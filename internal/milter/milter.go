// Package milter is Postfix's door. It speaks the Sendmail milter protocol
// (version 2 with the negotiated extensions of version 6) through
// github.com/emersion/go-milter, hands each message to the gate and does what the
// Outcome says: signatures are inserted at the top, refusals are answered with
// RFC 3463 codes, and what is held is in custody on disk before the MTA hears
// DISCARD. Otherwise a message is left as it is.
//
// The library has one connection at a time to itself. What lies between it and
// the socket is ours: deadlines, whole and checked frames, the order of commands,
// and one session object for the life of the connection.
package milter

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Gate decides on messages.
type Gate interface {
	Begin(ctx context.Context, env mail.Envelope, header mail.Header, trusted bool) Transaction
	BeginReleased(ctx context.Context, env mail.Envelope, header mail.Header) Transaction
	BeginOwn(ctx context.Context, env mail.Envelope, header mail.Header) Transaction // what mailgate wrote
}

// Transaction is one message in the gate; see gate.Transaction.
type Transaction interface {
	Refusal() *gate.Reply
	NeedsBody() bool
	MayHold() bool
	Write(p []byte) (int, error)
	Finish(ctx context.Context) *gate.Outcome
	Explain() *gate.Outcome
	Err() error
	Cancel()
}

// Redeemer uses up release tokens. ok is false for a token that is unknown, used
// or expired; an error means that it could not be found out. A token without a
// message in custody is that of a notice: mail that mailgate itself wrote.
type Redeemer interface {
	Redeem(ctx context.Context, token string) (id string, ok bool, err error)
}

// Server serves the milter protocol. Gate, Custody and Redeemer are required; the
// zero value of everything else is the default named beside it.
type Server struct {
	Gate     Gate
	Custody  spool.Taker
	Redeemer Redeemer
	Trusted  func(client netip.Addr) bool // clients whose mail is signed; nil: none, save authenticated and local ones
	Metrics  *Metrics                     // nil: not counted
	Log      *slog.Logger                 // nil: slog.Default()
	SpillDir string                       // for copies over 256 KiB; empty: the system's temporary directory

	// Probed gets the nonce of every sender that begins with spool.ProbePrefix, from
	// whatever client: who doesn't know a nonce can't guess it. nil: nobody listens.
	Probed func(nonce string)

	MaxConns       int           // connections at once; more wait; 1,000
	IdleTimeout    time.Duration // between two frames: a client may send DATA for long; 2 h
	FrameTimeout   time.Duration // to receive or send one frame, and for the first to come; 30 s
	MessageTimeout time.Duration // from end of headers to the answer; 4 min, Postfix waits 5
	DrainTimeout   time.Duration // for messages in hand when stopping; 20 s

	MaxHeader     int // bytes of header; 1 MiB
	MaxFields     int // header fields; 2,000
	MaxRecipients int // 50,000
}

// Current is the Gate that asks for the gate in force at the begin of each
// message, so that a reload never changes a message under way.
type Current func() *gate.Gate

// Begin implements Gate.
func (current Current) Begin(ctx context.Context, env mail.Envelope, header mail.Header, trusted bool) Transaction {
	return current().Begin(ctx, env, header, trusted)
}

// BeginReleased implements Gate.
func (current Current) BeginReleased(ctx context.Context, env mail.Envelope, header mail.Header) Transaction {
	return current().BeginReleased(ctx, env, header)
}

// BeginOwn implements Gate.
func (current Current) BeginOwn(ctx context.Context, env mail.Envelope, header mail.Header) Transaction {
	return current().BeginOwn(ctx, env, header)
}

// In returns a function that reports whether an address is in one of the networks.
func In(networks []netip.Prefix) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		for _, n := range networks {
			if n.Contains(a) {
				return true
			}
		}
		return false
	}
}

// withDefaults returns a copy of s with every default filled in.
func (s *Server) withDefaults() *Server {
	d := *s
	if d.Trusted == nil {
		d.Trusted = func(netip.Addr) bool { return false }
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Probed == nil {
		d.Probed = func(string) {}
	}
	d.MaxConns = cmp.Or(d.MaxConns, 1000)
	d.IdleTimeout = cmp.Or(d.IdleTimeout, 2*time.Hour)
	d.FrameTimeout = cmp.Or(d.FrameTimeout, 30*time.Second)
	d.MessageTimeout = cmp.Or(d.MessageTimeout, 4*time.Minute)
	d.DrainTimeout = cmp.Or(d.DrainTimeout, 20*time.Second)
	d.MaxHeader = cmp.Or(d.MaxHeader, 1<<20)
	d.MaxFields = cmp.Or(d.MaxFields, 2000)
	d.MaxRecipients = cmp.Or(d.MaxRecipients, 50_000)
	return &d
}
