// Package smtpd is the SMTP door: the smart host for servers that can't speak
// milter. It speaks SMTP (RFC 5321) through github.com/emersion/go-smtp, hands
// each message to the gate, and takes it into custody on disk before it answers
// 250. It relays for clients of trusted networks and for users with a password,
// and for nobody else.
//
// The library has one conversation at a time to itself. What lies between it and
// the socket is ours: it is given one command line after the other, and never
// sees STARTTLS, BDAT or a message. So there is one rule for line ends and one end
// of a message, whichever way a message comes, nothing that was sent before TLS
// counts after it, and all that happens in a session happens on one goroutine.
package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"mailgate/internal/door"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Config is what all listeners share. Name, Gate and Custody are required; the
// zero value of everything else is the default named beside it.
type Config struct {
	Name     mail.Domain // ours, in the greeting and in Received
	Gate     Gate
	Custody  spool.Taker
	Limits   Limits
	Metrics  *Metrics         // nil: not counted
	Log      *slog.Logger     // nil: slog.Default()
	SpillDir string           // for messages over 256 KiB; empty: the system's temporary directory
	Now      func() time.Time // for what is written into messages and custody; nil: time.Now
}

// Limits bound what clients may ask for. Zero is the default named beside it.
type Limits struct {
	Sessions          int // of all listeners together; more are answered 421; 1,000
	SessionsPerClient int // of one address, an IPv6 /64 counting as one; 100

	Size       int64 // of a message, in bytes; 35 MiB
	Refused    int64 // bytes of a refused message that are read past, so that the client hears why; 1 GiB
	Recipients int   // of a message; more are answered 452; 1,000
	Header     int   // bytes of header; 1 MiB
	Fields     int   // header fields; 2,000
	Hops       int   // Received fields; more is a loop; 50
	Line       int   // bytes of a line of a message, without its end; 1,000,000
	Commands   int   // since the last message taken, or the start; recipients and 1,000
	Errors     int   // replies of 4xx and 5xx, likewise; 100

	Idle    time.Duration // for a whole command to come; 5 min
	Read    time.Duration // for the next bytes of a message, and for a TLS handshake; 3 min
	Write   time.Duration // to send a reply; 1 min
	Message time.Duration // from DATA to the answer; 30 min
	Session time.Duration // after that no other command is read; 2 h
	Proxy   time.Duration // for the PROXY header to come; 10 s
	Drain   time.Duration // for messages in hand when stopping; 20 s
}

func (l Limits) withDefaults() Limits {
	l.Sessions = cmp.Or(l.Sessions, 1000)
	l.SessionsPerClient = cmp.Or(l.SessionsPerClient, 100)
	l.Size = cmp.Or(l.Size, 35<<20)
	l.Refused = cmp.Or(l.Refused, 1<<30)
	l.Recipients = cmp.Or(l.Recipients, 1000)
	l.Header = cmp.Or(l.Header, 1<<20)
	l.Fields = cmp.Or(l.Fields, 2000)
	l.Hops = cmp.Or(l.Hops, 50)
	l.Line = cmp.Or(l.Line, 1_000_000)
	l.Commands = cmp.Or(l.Commands, l.Recipients+1000)
	l.Errors = cmp.Or(l.Errors, 100)
	l.Idle = cmp.Or(l.Idle, 5*time.Minute)
	l.Read = cmp.Or(l.Read, 3*time.Minute)
	l.Write = cmp.Or(l.Write, time.Minute)
	l.Message = cmp.Or(l.Message, 30*time.Minute)
	l.Session = cmp.Or(l.Session, 2*time.Hour)
	l.Proxy = cmp.Or(l.Proxy, 10*time.Second)
	l.Drain = cmp.Or(l.Drain, 20*time.Second)
	return l
}

// TLSMode says what a listener does about TLS.
type TLSMode string

const (
	TLSOff      TLSMode = "off"      // also the zero value
	TLSOffered  TLSMode = "offered"  // STARTTLS
	TLSRequired TLSMode = "required" // STARTTLS, and no mail without
	TLSImplicit TLSMode = "implicit" // from the first byte on (RFC 8314, port 465)
)

// Rights are what a client may do.
type Rights struct {
	SendAs []mail.Domain // From domains it may write as; empty: any
}

// Listener is one address that is listened at. Its functions are asked anew for
// every session, login or connection, so that a reload may change what they say.
type Listener struct {
	net.Listener
	Trusted   func(client netip.Addr) (Rights, bool) // clients that may send without a login; nil: none
	Users     Users                                  // who may log in, after TLS only; nil: nobody
	TLS       TLSMode
	Config    *tls.Config    // required unless TLS is off; see Certificates
	Profile   Profile        // of Config: Legacy is warned of at the start
	Normalise bool           // a bare CR or LF in a message becomes CRLF; false: it is refused
	ProxyFrom []netip.Prefix // balancers that begin with a PROXY header, and must
}

func (l *Listener) offersTLS() bool { return l.TLS == TLSOffered || l.TLS == TLSRequired }

// Users knows who may log in.
type Users interface {
	// Check takes the same time whether there is such a user or not. An error means
	// that it could not be found out now.
	Check(ctx context.Context, user, password string) (Rights, bool, error)
}

// Server takes mail at any number of listeners.
type Server struct {
	Config
	door      *door.Door
	scratches sync.Pool // of *scratch
}

// NewServer fills in the defaults.
func NewServer(c Config) *Server {
	c.Limits = c.Limits.withDefaults()
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Server{Config: c, door: newDoor(c)}
}
