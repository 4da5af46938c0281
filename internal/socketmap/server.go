// Package socketmap is the door at which Postfix asks what to do with a
// destination or a recipient. Two protocols are spoken at one listener, and the
// first byte of a connection tells which:
//
//   - a digit begins a netstring of Postfix's socketmap protocol
//     (socketmap_table(5)): "mailgate example.net" asks for the TLS policy of a next
//     hop, as smtp_tls_policy_maps does, and "preflight SENDER RECIPIENT" for what
//     would become of a message;
//   - a letter begins a request of Postfix's policy delegation protocol
//     (SMTPD_POLICY_README), as check_policy_service sends it for each recipient.
//
// Whoever asks may ask as often as they like on one connection. What can't be read
// ends the connection, and what can't be answered is answered so that mail flows as
// if nobody had been asked. There are two exceptions: where the TLS policy of a
// destination can't be settled, so that it might demand TLS, mail waits; and so it
// does where a map is asked for that doesn't exist.
package socketmap

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"mailgate/internal/door"
	"mailgate/internal/tlspolicy"
)

// Policies knows how destinations are to be secured.
type Policies interface {
	// Lookup says what is in force. It ends by itself within seconds: no deadline is
	// set for it. An error that is tlspolicy.ErrUnsettled makes mail wait; after any
	// other, Postfix does what it does without mailgate.
	Lookup(ctx context.Context, d tlspolicy.Destination) (tlspolicy.Policy, error)
}

// Preflight foretells what would become of a message.
type Preflight interface {
	// Advise has Limits.Advice to answer. An error is as good as no advice.
	Advise(ctx context.Context, a Ask) (Advice, error)
}

// Ask is what is known of a message when its recipient is named. All of it comes
// from outside; what isn't known is empty.
type Ask struct {
	Sender    string     // MAIL FROM as it came, "" for the null sender
	Recipient string     // never empty
	Client    netip.Addr // who brings the message; the zero value: not an address
	Helo      string
	User      string // who logged in
}

// Advice is what to do with a recipient.
type Advice struct {
	Action Action
	Code   int    // reply code of a refusal, 5xx; 0: 550
	Status string // enhanced status code of the same class: "5.7.26"; "": 5.7.1 or 4.7.1
	Text   string // one line for the client; what isn't printable ASCII becomes "?"
}

// Action is one of Postfix's, see access(5).
type Action int

const (
	Dunno  Action = iota // no opinion
	Refuse               // a permanent reply
	Defer                // DEFER_IF_PERMIT: a temporary reply, unless something else refuses
)

// Config is what all listeners share. Policies is required; the zero value of
// everything else is the default named beside it.
type Config struct {
	Policies  Policies
	Preflight Preflight      // nil: no opinion on anything
	Postfix   func() Version // which Postfix asks, as configured now; nil: not known
	Limits    Limits
	Metrics   *Metrics     // nil: not counted
	Log       *slog.Logger // nil: slog.Default()
}

// Limits bound what clients may ask for. Zero is the default named beside it.
type Limits struct {
	Connections int // of all listeners together; more wait; 1,000
	Request     int // bytes of a request: of a netstring's payload, or of all lines; 16 KiB
	Attributes  int // lines of a request of policy delegation; 200

	Idle   time.Duration // for a request to begin; 10 min: Postfix hangs up first
	Read   time.Duration // for a request to come, once begun; 10 s
	Write  time.Duration // to send answers; 10 s
	Advice time.Duration // for Preflight to answer; 10 s
	Drain  time.Duration // for answers in hand when stopping; 10 s
}

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 1000)
	l.Request = cmp.Or(l.Request, 16<<10)
	l.Attributes = cmp.Or(l.Attributes, 200)
	l.Idle = cmp.Or(l.Idle, 10*time.Minute)
	l.Read = cmp.Or(l.Read, 10*time.Second)
	l.Write = cmp.Or(l.Write, 10*time.Second)
	l.Advice = cmp.Or(l.Advice, 10*time.Second)
	l.Drain = cmp.Or(l.Drain, 10*time.Second)
	return l
}

// Server answers at any number of listeners.
type Server struct {
	Config
	door *door.Door
}

// NewServer fills in the defaults.
func NewServer(c Config) *Server {
	c.Limits = c.Limits.withDefaults()
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Postfix == nil {
		c.Postfix = func() Version { return Version{} }
	}
	return &Server{Config: c, door: door.New(door.Options{
		Name:     "socketmap",
		Drain:    c.Limits.Drain,
		Limit:    c.Limits.Connections,
		Panicked: func() { c.Metrics.failed("panic") },
		Log:      c.Log,
	})}
}

// Serve answers at ln until ctx is done. Then it closes ln and the connections that
// wait for a request, waits up to Limits.Drain for answers in hand, closes the rest
// too, and returns nil. It returns an error only when ln fails for good.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return s.door.Serve(ctx, ln, s.session)
}
