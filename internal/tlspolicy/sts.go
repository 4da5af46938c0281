package tlspolicy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mjl-/mox/mtasts"
	"golang.org/x/sync/singleflight"

	"mailgate/internal/mail"
)

// STSState is what is known of a domain's MTA-STS policy.
type STSState struct {
	Domain  mail.Domain `json:"domain"`
	Mode    string      `json:"mode,omitempty"` // enforce, testing or none; empty: no policy is known
	MX      []string    `json:"mx,omitempty"`
	ID      string      `json:"id,omitempty"`
	Text    string      `json:"text,omitempty"` // as served
	Fetched time.Time   `json:"fetched,omitzero"`
	Expires time.Time   `json:"expires,omitzero"`
	Checked time.Time   `json:"checked,omitzero"` // when DNS was last asked for its id
	Error   string      `json:"error,omitempty"`  // why the last check or fetch failed

	Fault error `json:"-"` // why the policy of a domain that has one can't be had; nil: it can, or DNS is why
}

const (
	fetchBackoff = 5 * time.Minute  // after a failure (RFC 8461, section 3.3); it doubles
	fetchPause   = time.Hour        // the longest
	minCheck     = 5 * time.Second  // between two checks of an id
	stsPatience  = 30 * time.Second // before a domain whose first check takes too long is waited for again
)

// stsCache has the MTA-STS policies of domains, checks their ids when DNS's answer
// ends, and fetches what is new.
type stsCache struct {
	now     func() time.Time
	log     *slog.Logger
	life    *life
	memory  Memory
	fetcher fetcher
	metrics Metrics
	flights singleflight.Group

	slots chan struct{} // of fetches under way
	max   int           // domains remembered

	mu    sync.RWMutex
	known map[mail.Domain]*stsEntry
}

// stsEntry doesn't change, but for checking.
type stsEntry struct {
	policy   *stsPolicy // nil: none
	demand   Policy     // what policy demands
	checked  time.Time
	checkAt  time.Time
	retryAt  time.Time // no fetch before, after a failure
	failures int
	fault    string
	failed   error // of the last fetch
	checking atomic.Bool
}

// at returns what the entry demands now, nil for nothing.
func (e *stsEntry) at(now time.Time) *Policy {
	if e.policy.ended(now) {
		return nil
	}
	return &e.demand
}

// warm returns what is known of a domain, and has it checked in the background when
// it is time. False: nothing is known yet.
func (c *stsCache) warm(domain mail.Domain, dns DNS, now time.Time) (*Policy, bool) {
	e := c.entry(domain)
	if e == nil {
		return nil, false
	}
	if !now.Before(e.checkAt) && e.checking.CompareAndSwap(false, true) {
		c.begin(domain, dns)
	}
	return e.at(now), true
}

func (c *stsCache) entry(domain mail.Domain) *stsEntry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[domain]
}

// wait waits for the first check of a domain. If that takes longer than a look-up
// may, the domain counts as one without a policy until the check ends.
func (c *stsCache) wait(ctx context.Context, domain mail.Domain, check <-chan singleflight.Result) *Policy {
	select {
	case <-check:
	case <-ctx.Done():
		c.mu.Lock()
		if c.known[domain] == nil && context.Cause(ctx) == errCold {
			c.put(domain, &stsEntry{checkAt: c.now().Add(stsPatience)})
		}
		c.mu.Unlock()
	}
	if e := c.entry(domain); e != nil {
		return e.at(c.now())
	}
	return nil
}

// begin starts a check, or joins the one under way.
func (c *stsCache) begin(domain mail.Domain, dns DNS) <-chan singleflight.Result {
	return c.flights.DoChan(string(domain), func() (any, error) {
		err := c.life.do(func(ctx context.Context) { c.check(ctx, domain, dns) })
		if err != nil && !errors.Is(err, errEnded) {
			c.broke(domain, err)
		}
		return nil, nil
	})
}

// check asks for the id, and fetches the policy where that is new or the one known
// ends soon, be there a record or not: whoever keeps the record from us must not end
// the policy (RFC 8461, section 3.3). Whatever fails, a policy that is known holds
// until its end.
func (c *stsCache) check(ctx context.Context, domain mail.Domain, dns DNS) {
	answer := dns.Recursive(ctx, "_mta-sts."+string(domain), "TXT")
	now := c.now()
	next := &stsEntry{checked: now, checkAt: answer.Expires}
	if soonest := now.Add(minCheck); next.checkAt.Before(soonest) {
		next.checkAt = soonest
	}
	old := c.entry(domain)
	if old == nil {
		old = &stsEntry{}
	}
	next.policy, next.demand = old.policy, old.demand
	next.retryAt, next.failures, next.fault, next.failed = old.retryAt, old.failures, old.fault, old.failed
	if next.policy.ended(now) {
		next.policy, next.demand = nil, Policy{}
	}
	id, err := stsID(answer)
	switch {
	case err != nil:
		next.fault, next.failed = "", nil
		if !errors.Is(err, errNoSTS) || next.policy != nil {
			next.fault = err.Error()
		}
		if next.policy != nil && old.fault == "" {
			c.log.WarnContext(ctx, "MTA-STS record can't be had, the policy known holds", "domain", domain, "mode", string(next.policy.mode),
				"error", err, "until", next.policy.expires)
		}
		if next.policy.due(now) && !now.Before(next.retryAt) {
			c.renew(ctx, domain, dns, next.policy.id, next)
			next.fault = cmp.Or(next.fault, err.Error())
		}
	case next.policy != nil && next.policy.id == id && !next.policy.due(now):
		next.fault, next.failed, next.failures, next.retryAt = "", nil, 0, time.Time{}
	case !now.Before(next.retryAt):
		c.renew(ctx, domain, dns, id, next)
	}
	if now.Before(next.retryAt) && next.retryAt.Before(next.checkAt) {
		next.checkAt = next.retryAt
	}
	if next.policy == nil {
		c.tellEnded(domain, old)
	}
	c.set(domain, next)
}

// tellEnded says that less is demanded from now on, where that is so.
func (c *stsCache) tellEnded(domain mail.Domain, e *stsEntry) {
	if e.policy != nil && e.policy.mode == mtasts.ModeEnforce {
		c.log.Warn("MTA-STS enforce policy ended and could not be refreshed", "domain", domain, "ended", e.policy.expires, "error", e.fault)
	}
}

// broke puts the next check off after one that failed by our own fault.
func (c *stsCache) broke(domain mail.Domain, err error) {
	now := c.now()
	next := &stsEntry{checked: now, checkAt: now.Add(fetchBackoff), fault: err.Error()}
	if old := c.entry(domain); old != nil {
		next.policy, next.demand = old.policy, old.demand
	}
	c.log.Error("MTA-STS check failed", "domain", domain, "error", err)
	c.set(domain, next)
}

// renew fetches the policy into the entry.
func (c *stsCache) renew(ctx context.Context, domain mail.Domain, dns DNS, id string, e *stsEntry) {
	policy, err := c.fetch(ctx, domain, dns, id)
	if err != nil {
		c.metrics.STSFetch("failed")
		e.fault, e.failed = err.Error(), err
		e.retryAt = c.now().Add(min(fetchBackoff<<min(e.failures, 4), fetchPause))
		e.failures++
		c.log.WarnContext(ctx, "MTA-STS policy can't be fetched", "domain", domain, "id", id, "error", err, "known", e.policy != nil)
		return
	}
	c.metrics.STSFetch("ok")
	e.policy, e.demand = policy, policy.policy()
	e.retryAt, e.failures, e.fault, e.failed = time.Time{}, 0, "", nil
	c.log.InfoContext(ctx, "MTA-STS policy fetched", "domain", domain, "id", id, "mode", string(policy.mode), "until", policy.expires)
	c.keep(ctx, domain, policy)
	policy.shorten()
}

func (c *stsCache) fetch(ctx context.Context, domain mail.Domain, dns DNS, id string) (*stsPolicy, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	text, err := c.fetcher.fetch(ctx, dns, domain)
	if err != nil {
		return nil, err
	}
	policy, err := parseSTS(text)
	if err != nil {
		return nil, err
	}
	policy.id, policy.fetched = id, c.now()
	policy.expires = policy.fetched.Add(policy.maxAge)
	return policy, nil
}

// set keeps an entry.
func (c *stsCache) set(domain mail.Domain, e *stsEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(domain, e)
}

// state is for those who want to see.
func (c *stsCache) state(domain mail.Domain) (STSState, bool) {
	e := c.entry(domain)
	if e == nil || e.policy.ended(c.now()) && e.fault == "" {
		return STSState{}, false
	}
	s := STSState{Domain: domain, Checked: e.checked, Error: e.fault}
	if p := e.policy; p.ended(c.now()) {
		s.Fault = e.failed
	} else {
		s.Mode, s.MX, s.ID, s.Text, s.Fetched, s.Expires = string(p.mode), p.mx, p.id, p.text, p.fetched, p.expires
	}
	return s, true
}
