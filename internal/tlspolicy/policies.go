package tlspolicy

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// Options are what Policies work with. View must be set.
type Options struct {
	View    func() View   // the DNS in force, asked for each look-up
	Table   func() *Table // the overrides of the configuration in force; nil: none
	Memory  Memory        // nil: nothing outlives a restart
	Metrics Metrics       // nil: nothing is counted
	Log     *slog.Logger  // nil: slog.Default
	Now     func() time.Time

	LookupTime time.Duration // that a look-up may take that nothing is known for; 0: 5 s

	Roots   *x509.CertPool // for the servers of MTA-STS policies; nil: the system's
	Private func() bool    // whether those may have addresses that aren't of the Internet, as in tests; nil: no
	Port    uint16         // of those, for tests; 0: 443
}

// View is how DNS is seen.
type View struct {
	DNS        DNS
	Validating bool // the resolvers validate, and are trusted to say so; without that there is no DANE
	STS        bool // MTA-STS is looked for
}

// DNS asks recursive resolvers, as dnsview.Resolver does.
type DNS interface {
	Recursive(ctx context.Context, name, qtype string) dnsview.Answer
}

// Metrics counts.
type Metrics interface {
	STSFetch(result string) // of MTA-STS policies: ok or failed
	Expiring(overrides int) // how many end within a week
}

type noMetrics struct{}

func (noMetrics) STSFetch(string) {}
func (noMetrics) Expiring(int)    {}

// Policies say how connections to destinations are to be secured: overrides, DANE
// (RFC 7672), MTA-STS (RFC 8461) and what was learned of handshakes. They are safe
// for concurrent use.
type Policies struct {
	o    Options
	log  *slog.Logger
	life *life
	dane *daneCache
	sts  *stsCache

	editing  sync.Mutex            // of overrides, in memory and in the table
	changing sync.Mutex            // of what follows
	runtime  atomic.Pointer[Table] // overrides made at run time
	learned  atomic.Pointer[map[mail.Domain]Learned]

	told  sync.Map             // what was logged once
	ended map[string]time.Time // run-time overrides seen to have ended, since when; of Run alone
}

// New recalls what Memory has. Close ends what goes on in the background.
func New(ctx context.Context, o Options) (*Policies, error) {
	o = o.complete()
	l := newLife(ctx)
	p := &Policies{
		o: o, log: o.Log, life: l,
		dane: &daneCache{now: o.Now, life: l, findTime: o.lookupTime() * 9 / 10, known: map[danePlace]*daneEntry{}},
		sts: &stsCache{now: o.Now, log: o.Log, life: l, memory: o.Memory, metrics: o.Metrics, known: map[mail.Domain]*stsEntry{},
			slots: make(chan struct{}, maxFetches), max: maxSTS,
			fetcher: fetcher{roots: o.Roots, private: o.Private, port: o.Port}},
	}
	p.learned.Store(&map[mail.Domain]Learned{})
	p.runtime.Store(&Table{now: o.Now})
	if o.Memory == nil {
		return p, nil
	}
	for _, recall := range []func(context.Context) error{p.recallOverrides, p.sts.recall, p.recallLearned} {
		if err := recall(ctx); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

func (o Options) complete() Options {
	o.Port = cmp.Or(o.Port, 443)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Table == nil {
		o.Table = func() *Table { return nil }
	}
	if o.Private == nil {
		o.Private = func() bool { return false }
	}
	return o
}

// Close ends what goes on in the background and waits for it.
func (p *Policies) Close() { p.life.end() }

func (p *Policies) now() time.Time { return p.o.Now() }

// view is the DNS in force; without one nothing is looked for.
func (p *Policies) view() View {
	v := p.o.View()
	if v.DNS == nil {
		return View{DNS: noDNS{}}
	}
	return v
}

type noDNS struct{}

func (noDNS) Recursive(_ context.Context, name, qtype string) dnsview.Answer {
	return dnsview.Answer{Name: name, Type: qtype, Status: dnsview.Unknown}
}

func (o Options) lookupTime() time.Duration { return cmp.Or(o.LookupTime, 5*time.Second) }

// Lookup returns the policy in force for a destination: the override's, or what
// DANE, MTA-STS or the default demand, with what was learned of the host. The error
// is ErrNoDestination, or wraps ErrUnsettled with what DNS said: then mail must
// wait. Other faults of DNS, and of MTA-STS's servers, are none of it: a policy
// that is known serves until it ends, without one the default does. It takes
// Options.LookupTime at most.
func (p *Policies) Lookup(ctx context.Context, d Destination) (Policy, error) {
	if d.Domain == "" && d.NextHop == "" {
		return Policy{}, ErrNoDestination
	}
	ctx, stop := within(ctx, p.o.lookupTime())
	defer stop()
	now, view := p.now(), p.view()
	over, d, err := p.overrides(ctx, d, view.DNS)
	if err != nil {
		return Policy{}, err
	}
	policy := defaultPolicy()
	if !over.alone() {
		policy, err = p.demanded(ctx, d, view, now)
	}
	if err != nil && !over.bold() {
		return Policy{}, err
	}
	if len(over) > 0 {
		if err != nil {
			policy = defaultPolicy()
		}
		policy = over.over(d, policy, view.Validating)
		p.tellRaised(ctx, policy)
	}
	return p.withLearned(policy, d.Host, now), nil
}

// bold reports whether the override may decide where DNS doesn't tell what is
// demanded, as it may be below. At the DANE levels TLSA records are needed.
func (o *Override) bold() bool {
	return o.excused() && o.Level != 0 && o.Level != DANE && o.Level != DANEOnly
}

// STS returns what is known of a domain's MTA-STS policy.
func (p *Policies) STS(domain mail.Domain) (STSState, bool) { return p.sts.state(domain) }
