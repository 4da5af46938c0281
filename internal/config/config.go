// Package config reads mailgate's configuration: TOML 1.0 in, validated and typed
// values out. It opens nothing that the configuration names. Every fault is
// reported with file, line, column and what to write instead, all of them at
// once.
package config

import (
	"io/fs"
	"net/netip"
	"time"

	"mailgate/internal/mail"
)

// Config is a whole, valid configuration. Paths in it are absolute. A door whose
// section was left out has a zero Listen.
type Config struct {
	Path      string // absolute path of the file it was read from
	Mode      Mode
	Engine    Engine
	Hostname  mail.Domain  // HELO name
	Egress    []netip.Addr // every public address that mail leaves from
	Milter    Milter
	Relay     Relay
	Socketmap Socketmap
	Web       Web
	Control   Control
	Store     Store
	DNS       DNS
	Policy    Policy
	Release   Release
	Hold      Hold
	Queue     Queue
	Domains   []Domain
	Routes    []Route
	TLS       []TLSOverride
	MTASTS    MTASTS
	Reports   TLSReports

	Keys       Keys
	Publishers []Publisher

	unsupported Errors
}

// Mode says whether verdicts have consequences.
type Mode string

const (
	Enforce Mode = "enforce" // hold, reject and defer as the policy says
	Observe Mode = "observe" // sign, log and count verdicts, hold nothing
)

// Engine says what does the RSA operation of a signature.
type Engine string

const (
	EngineAuto Engine = "auto" // libcrypto where it can be had, or else Go's own
	EngineGo   Engine = "go"
)

// Milter is Postfix's door.
type Milter struct {
	Listen         Listen
	Trusted        []netip.Prefix // clients whose mail is signed
	MaxConnections int
	Timeout        time.Duration // an idle connection is closed after it
	SocketMode     fs.FileMode   // of a Unix socket; 0 for other networks
}

// Socketmap is Postfix's TLS-policy door.
type Socketmap struct {
	Listen  Listen
	Postfix string         // version of the Postfix that asks, as "3.6"
	Trusted []netip.Prefix // clients whose mail is ours, where it is asked about at RCPT
}

// MTASTS says how other domains' MTA-STS policies are got (RFC 8461).
type MTASTS struct {
	Enabled bool
	Private bool // their servers may have private and loopback addresses
}

// TLSReports says whether other domains are told how TLS with them went (RFC 8460).
type TLSReports struct {
	Enabled bool
	From    mail.Address // of the reports, and whom to ask about them
	Name    string       // of the organisation that reports
}

// Web is the review pages' door.
type Web struct{ Listen Listen }

// Control is where the command line reaches the running gateway.
type Control struct{ Socket string }

// Store is where messages are kept.
type Store struct {
	Driver string // "sqlite"
	Path   string // file of the database
}

// DNS says whom to ask. Servers are "host:port".
type DNS struct {
	Resolvers     []string // empty: the system's
	Authoritative bool
	Panel         string // empty: none
	Validating    bool   // the resolvers validate DNSSEC, and nobody can change their answers on the way
}

// Action is what a policy does with a recipient.
type Action string

const (
	ActionHold   Action = "hold"
	ActionReject Action = "reject"
	ActionDefer  Action = "defer"
	ActionPass   Action = "pass"
)

// Policy is the site's answer to each kind of verdict.
type Policy struct {
	Refused Action // a predicted permanent refusal: hold, reject or pass
	Unknown Action // DNS gave no answer: hold, defer or pass
	Foreign Action // From domain without a key here: pass, hold or reject
}

// ReleaseViaRelay is the Release.Via that hands released mail to our own relay.
const ReleaseViaRelay = "relay"

// Release is the way out for released milter mail.
type Release struct{ Via string } // "host:port" of an SMTP server, or ReleaseViaRelay

// Hold is how held mail is looked after.
type Hold struct {
	AutoRelease bool
	ReleaseRate int           // messages a minute to one destination; 0: no bound
	Recheck     time.Duration // shortest time between two re-checks of an identity, at least a second
	NotifyAfter time.Duration // then its sender is told that it is late; 0: never
	MaxAge      time.Duration // then it is returned to its sender; 0: never
	Postmaster  mail.Address  // gets the digest and what can't be returned; null: nobody
	Digest      time.Duration // between two digests; 0: none
	KeepBodies  time.Duration // of finished messages; 0: for ever
	KeepLog     time.Duration // review log and what is known of finished messages; 0: for ever
	MaxBytes    int64         // of the store on disk; 0: no bound
}

// Domain is a set of From domains and the keys that sign for them.
type Domain struct {
	Pattern    string      // as written, normalised: "example.com" or "*.example.com"
	Name       mail.Domain // Pattern without "*."
	Wildcard   bool
	SignAs     mail.Domain   // d=; empty: Name
	SubDomains bool          // sub-domains of Name sign as Name
	Bulk       bool          // counts as a bulk sender with its receivers
	Expire     time.Duration // x= this long after t=; 0: none
	Keys       []Key

	Publisher   string        // name of the Publisher that writes its records; empty: none
	RotateEvery time.Duration // 0: only when told to
}

// Signer is the signing domain (d=).
func (d Domain) Signer() mail.Domain {
	if d.SignAs != "" {
		return d.SignAs
	}
	return d.Name
}

// Key names one DKIM key.
type Key struct {
	Selector string
	File     string
	Identity string // i=, "@example.com" or "list@example.com"; empty: none
}

// TLSLevel is a TLS security level, in Postfix's words.
type TLSLevel string

const (
	TLSNone     TLSLevel = "none"
	TLSMay      TLSLevel = "may"
	TLSEncrypt  TLSLevel = "encrypt"
	TLSDANE     TLSLevel = "dane"
	TLSDANEOnly TLSLevel = "dane-only"
	TLSVerify   TLSLevel = "verify"
	TLSSecure   TLSLevel = "secure"
)

// TLSOverride replaces the TLS policy for one destination.
type TLSOverride struct {
	Destination string   // "example.com", ".example.com" (its sub-domains), "[host]:587", "mx:host" or "mx:*.example.com"
	Level       TLSLevel // empty: as DANE and MTA-STS demand
	MinVersion  uint16   // as in crypto/tls; 0: 1.2
	MaxVersion  uint16   // as in crypto/tls; 0: no limit
	Ciphers     []string // IANA names; none: the program's own choice
	Curves      string   // "classic", or empty: any
	ServerName  string   // sent as SNI; empty: the server's name
	Match       []string // names the certificate may have; none: as the level says
	Reason      string
	Expires     time.Time // the last day it holds, at 00:00 UTC; zero: it does not expire
}

// Expired reports whether the last day of the override is over, in UTC.
func (o TLSOverride) Expired(now time.Time) bool {
	return !o.Expires.IsZero() && !now.Before(o.Expires.AddDate(0, 0, 1))
}
