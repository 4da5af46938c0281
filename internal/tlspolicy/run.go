package tlspolicy

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
)

const (
	turnTime   = time.Minute        // between two turns of Run
	checkEvery = 24 * time.Hour     // for ids of policies nobody asked for lately
	week       = 7 * 24 * time.Hour // before its end an override is announced
)

// Run refreshes MTA-STS policies before they end, announces overrides a week before
// theirs, and forgets what has ended. It returns nil when ctx ends.
func (p *Policies) Run(ctx context.Context) error {
	var refreshing sync.WaitGroup
	refreshing.Go(func() { everyTurn(ctx, p.refresh) }) // slow servers must not keep the rest from its turn
	everyTurn(ctx, p.turn)
	refreshing.Wait()
	return nil
}

func everyTurn(ctx context.Context, do func(context.Context)) {
	tick := time.NewTicker(turnTime)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Policies) turn(ctx context.Context) {
	now := p.now()
	p.announce(ctx)
	p.forgetEnded(ctx, now)
	p.setLearned(func(all map[mail.Domain]Learned) {
		maps.DeleteFunc(all, func(_ mail.Domain, l Learned) bool { return !now.Before(l.Until) })
	})
}

func (p *Policies) refresh(ctx context.Context) {
	if view := p.view(); view.STS {
		p.sts.refresh(ctx, view.DNS, p.now())
	}
}

func (p *Policies) announce(ctx context.Context) {
	soon := p.Expiring(week)
	p.o.Metrics.Expiring(len(soon))
	for _, o := range soon {
		if _, told := p.told.LoadOrStore("ends "+o.Destination+" "+o.Expires.String(), true); !told {
			p.log.WarnContext(ctx, "a TLS override ends soon", "destination", o.Destination, "level", o.Level.String(),
				"reason", o.Reason, "expires", o.Expires)
		}
	}
}

// refresh checks the policies that end soon, or whose id was not looked at for a
// day, and forgets the ended.
func (c *stsCache) refresh(ctx context.Context, dns DNS, now time.Time) {
	var group errgroup.Group
	group.SetLimit(8)
	for _, domain := range c.stale(now) {
		group.Go(func() error {
			select {
			case <-c.begin(domain, dns):
			case <-ctx.Done():
			}
			return nil
		})
	}
	_ = group.Wait() // a check that fails says so itself
}

// stale lists the domains to check, and drops policies that have ended.
func (c *stsCache) stale(now time.Time) (domains []mail.Domain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for domain, e := range c.known {
		switch {
		case e.policy == nil:
		case e.policy.ended(now):
			c.tellEnded(domain, e)
			delete(c.known, domain)
		case e.policy.due(now) && !now.Before(e.retryAt), now.Sub(e.checked) >= checkEvery:
			domains = append(domains, domain)
		}
	}
	return domains
}
