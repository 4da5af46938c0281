package preflight

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mailgate/internal/dnsview"
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
	MaxEntries int                 // reports remembered, each some 10 KB; 0: 4,000
	Timeout    time.Duration       // of a cold check; 0: 5 s
	Logger     *slog.Logger        // nil: none
	Now        func() time.Time    // nil: time.Now
	Found      func(*Report)       // told of each report that DNS was asked for, from several goroutines; nil: nobody
}

// Checker answers from memory in a steady state: a report is refreshed in the
// background before it expires, so that a message costs no DNS query. It is safe
// for concurrent use.
type Checker struct {
	dns     DNSView
	options Options

	mu        sync.Mutex
	entries   map[string]*entry
	rechecks  uint64 // so far
	providers providerMemory
}

// New returns a Checker that asks dns.
func New(dns DNSView, o Options) *Checker {
	if o.MaxEntries <= 0 {
		o.MaxEntries = 4000
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Found == nil {
		o.Found = func(*Report) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Checker{
		dns: dns, options: o, entries: map[string]*entry{},
		providers: providerMemory{suffixes: providerSuffixes(o.Providers), last: map[string]lastProvider{}},
	}
}

// Check returns the report for an identity, from memory where it may: at most
// Options.Timeout, then what isn't known yet is Unknown. When DNS gives no answer
// now, the last complete report serves for up to a day, marked Stale.
func (c *Checker) Check(ctx context.Context, id Identity) *Report {
	key := id.CacheKey()
	now := c.options.Now()
	c.mu.Lock()
	e := c.entryFor(key, now)
	if e.mayServe(now) {
		report := e.report
		if e.wantsRefresh(now) {
			c.launch(ctx, e, id)
		}
		c.mu.Unlock()
		return report
	}
	f := c.launch(ctx, e, id)
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.report
	case <-ctx.Done():
		return unanswered(id, now)
	}
}

// Round returns a context for the re-checks of one round that began at that time:
// what one of them has asked of DNS the others take, so that names they share are
// asked for once.
func Round(ctx context.Context, began time.Time) context.Context { return dnsview.Since(ctx, began) }

// Recheck is Check, but never from memory: DNS is asked afresh, and an unknown
// stays unknown. See Round.
func (c *Checker) Recheck(ctx context.Context, id Identity) *Report {
	c.mu.Lock()
	c.rechecks++
	began := c.rechecks
	c.mu.Unlock()
	report := c.inquire(dnsview.Fresh(ctx, 0), id)
	now := c.options.Now()
	c.mu.Lock()
	e := c.entryFor(id.CacheKey(), now)
	kept, lack := e.store(report, began, now)
	c.mu.Unlock()
	c.tell(ctx, id, lack)
	c.options.Found(kept)
	return report
}

// tell logs what DNS gave no answer about; once loudly, however often it is asked
// again.
func (c *Checker) tell(ctx context.Context, id Identity, l lack) {
	level := slog.LevelWarn
	if l.again {
		level = slog.LevelDebug
	}
	if l.names != "" {
		c.options.Logger.Log(ctx, level, "pre-flight: DNS gave no full answer",
			"from", string(id.From), "domain", string(id.spfDomain()), "names", l.names)
	}
}

// inquire asks DNS. It returns within the time-out whatever DNS does.
func (c *Checker) inquire(ctx context.Context, id Identity) *Report {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	id.Egress = unmapped(id.Egress)
	q := &inquiry{dns: c.dns, id: id}
	report := q.answer(ctx)
	report.Checked = c.options.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	report.Expires = report.Checked.Add(lifetime(report, q.expires))
	return report
}

// unmapped returns the addresses with IPv4 ones in IPv6 form made IPv4.
func unmapped(addresses []netip.Addr) []netip.Addr {
	addresses = slices.Clone(addresses)
	for i, a := range addresses {
		addresses[i] = a.Unmap()
	}
	return addresses
}

const (
	minLife     = 5 * time.Second  // of any report, so that near-expired answers don't make a storm
	warnLife    = 5 * time.Minute  // of a report with something to mend
	badLife     = 30 * time.Second // of a report with a failure: a mended zone is seen at once
	unknownLife = 5 * time.Second  // of a report that lacks answers
	maxLife     = time.Hour
)

// lifetime returns how long a report may be served: as long as the answers it
// rests on, less for bad news.
func lifetime(r *Report, expires time.Time) time.Duration {
	life := badLife
	if !expires.IsZero() {
		life = expires.Sub(r.Checked)
	}
	switch {
	case r.lacksAnswers():
		life = min(life, unknownLife)
	case r.Worst() == Fail:
		life = min(life, badLife)
	case r.Worst() == Warn:
		life = min(life, warnLife)
	}
	return min(max(life, minLife), maxLife)
}

// unanswered is the report when there was no time to ask.
func unanswered(id Identity, now time.Time) *Report {
	r := newReport(id)
	for _, p := range (&inquiry{id: id}).parts() {
		r.Findings = append(r.Findings, p.late())
	}
	r.Checked, r.Expires = now, now
	return r
}
