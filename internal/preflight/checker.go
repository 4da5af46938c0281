package preflight

import (
	"context"
	"log/slog"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// DNSView is what pre-flight asks of DNS; *dnsview.Resolver has it. It never
// returns an error: a fault is an answer with status dnsview.Unknown.
type DNSView interface {
	Published(ctx context.Context, name, qtype string) dnsview.Answer
	Recursive(ctx context.Context, name, qtype string) dnsview.Answer
	Panel(ctx context.Context, name, qtype string) (dnsview.Answer, bool)
	ZoneOf(ctx context.Context, name string) dnsview.Zone
}

// Options configures a Checker; the zero value is fit for use.
type Options struct {
	Providers  map[string]Provider // further MX suffixes: {"mx.gmail.test": Google}
	MaxEntries int                 // reports remembered; 0: 10,000
	Timeout    time.Duration       // of a cold check; 0: 5 s
	Logger     *slog.Logger        // nil: none
	Now        func() time.Time    // nil: time.Now
}

// Checker answers from memory in a steady state. It is safe for concurrent use.
type Checker struct{}

// New returns a Checker that asks dns.
func New(dns DNSView, o Options) *Checker { return &Checker{} }

// Check returns the report for an identity.
func (c *Checker) Check(ctx context.Context, id Identity) *Report { return &Report{} }

// Recheck is Check, but never from memory.
func (c *Checker) Recheck(ctx context.Context, id Identity) *Report { return &Report{} }

// Provider tells who runs a recipient domain's mail.
func (c *Checker) Provider(ctx context.Context, recipient mail.Domain) Provider { return Other }
