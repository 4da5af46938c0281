package dnsview

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Options configures a Resolver; the zero value asks the system's resolvers and
// each domain's own name servers.
type Options struct {
	Resolvers       []string      // host:port or host; empty: those of /etc/resolv.conf
	NoAuthoritative bool          // never ask name servers directly
	Panel           string        // host:port or host of the panel's name server, empty: none
	AuthorityPort   int           // port of authoritative servers; 0: 53 (the demo and tests differ)
	Timeout         time.Duration // for one query to one server; 0: 1.5 s
	Retries         int           // more tries over UDP after a time-out; 0: 1
	MinTTL, MaxTTL  time.Duration // bounds of a positive answer's lifetime; 0: 30 s and 1 h
	NegativeTTL     time.Duration // longest lifetime of bad news; 0: 30 s
	UnknownTTL      time.Duration // lifetime of "unknown"; 0: 5 s
	MaxEntries      int           // answers kept; 0: 100,000
	Logger          *slog.Logger
	Now             func() time.Time
}

// Resolver answers from memory where it may, asks once where many want to know,
// and refreshes what is in use before it expires. It is safe for concurrent use.
type Resolver struct{}

func New(o Options) (*Resolver, error) { return &Resolver{}, nil }
func (r *Resolver) Close()             {}

// Published returns what the name's own zone publishes: every authoritative
// server is asked, CNAMEs are followed into other zones.
func (r *Resolver) Published(ctx context.Context, name, qtype string) Answer { return Answer{} }

// Recursive returns what the recursive resolvers say.
func (r *Resolver) Recursive(ctx context.Context, name, qtype string) Answer { return Answer{} }

// Panel returns what the panel's server says; false when none is configured.
func (r *Resolver) Panel(ctx context.Context, name, qtype string) (Answer, bool) {
	return Answer{}, false
}

// ZoneOf finds the zone that holds name: its apex and its name servers.
func (r *Resolver) ZoneOf(ctx context.Context, name string) Zone { return Zone{} }

type Zone struct {
	Apex         string
	NameServers  []string
	Status       Status // Found or Unknown
	Expires      time.Time
	Observations []Observation
}

// Fresh returns a context whose look-ups don't use answers older than maxAge.
func Fresh(ctx context.Context, maxAge time.Duration) context.Context { return ctx }

// Queries returns how many packets were sent to DNS servers so far.
func (r *Resolver) Queries() uint64 { return 0 }

// ReverseName returns the name under in-addr.arpa or ip6.arpa that holds the
// PTR records of addr, without final dot.
func ReverseName(addr netip.Addr) string { return "" }
