package tlspolicy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	maxDANE      = 20_000         // findings kept
	daneInDoubt  = 24 * time.Hour // how long it counts that TLSA records were there
	daneLifetime = time.Hour
)

// daneCache remembers what TLSA records say, as long as DNS does.
type daneCache struct {
	now      func() time.Time
	life     *life
	findTime time.Duration // for one search, less than for a look-up
	flights  singleflight.Group

	mu    sync.RWMutex
	known map[danePlace]*daneEntry
}

// daneEntry and its finding don't change, but for refreshing.
type daneEntry struct {
	finding    *daneFinding
	refresh    time.Time
	expires    time.Time
	demanded   time.Time // when it was last certain that TLSA records are there
	refreshing atomic.Bool
}

// warm returns what is remembered, and looks again in the background in the last
// fifth of its life.
func (c *daneCache) warm(place danePlace, dns DNS, now time.Time) (*daneFinding, bool) {
	c.mu.RLock()
	e := c.known[place]
	c.mu.RUnlock()
	if e == nil || !now.Before(e.expires) {
		return nil, false
	}
	if !now.Before(e.refresh) && e.refreshing.CompareAndSwap(false, true) {
		c.begin(place, dns)
	}
	return e.finding, true
}

// get waits for the answer, and gives up with ctx.
func (c *daneCache) get(ctx context.Context, place danePlace, dns DNS) (*daneFinding, error) {
	select {
	case r := <-c.begin(place, dns):
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*daneFinding), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("look for TLSA records of %s: %w: %w", place.name, ErrUnsettled, ctx.Err())
	}
}

// begin starts the search, or joins the one under way.
func (c *daneCache) begin(place danePlace, dns DNS) <-chan singleflight.Result {
	return c.flights.DoChan(place.key(), func() (any, error) {
		var f *daneFinding
		err := c.life.do(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, c.findTime)
			defer cancel()
			asking := &asking{dns: dns}
			found := findDANE(ctx, asking, place)
			f = c.store(place, found, asking.until(found))
		})
		if err != nil {
			return nil, fmt.Errorf("look for TLSA records of %s: %w: %w", place.name, ErrUnsettled, err)
		}
		return f, nil
	})
}

// store keeps a finding. Where DNS is in doubt about a destination that had TLSA
// records lately, they still count: mail waits.
func (c *daneCache) store(place danePlace, f daneFinding, expires time.Time) *daneFinding {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &daneEntry{expires: expires}
	if old := c.known[place]; old != nil {
		if (f.state == daneDoubtful || f.state == daneUnsettled || f.open) && now.Before(old.expires) {
			old.refreshing.Store(false) // what is known still holds
			return old.finding
		}
		e.demanded = old.demanded
	}
	lately := !e.demanded.IsZero() && now.Sub(e.demanded) < daneInDoubt
	switch {
	case f.open && f.usable, f.state == daneDemanded && !f.open:
		e.demanded = now
	case f.open && lately:
		f.doubt = f.why
	case f.state == daneDoubtful && lately:
		f.state = daneUnsettled
	case f.state == daneNone:
		e.demanded = time.Time{}
	}
	e.finding = &f
	if e.expires.After(now.Add(daneLifetime)) {
		e.expires = now.Add(daneLifetime)
	}
	e.refresh = e.expires.Add(-e.expires.Sub(now) / 5)
	c.evict(now)
	c.known[place] = e
	return e.finding
}

// evict makes room, with c.mu held: first by what has ended.
func (c *daneCache) evict(now time.Time) {
	if len(c.known) < maxDANE {
		return
	}
	for place, e := range c.known {
		if !now.Before(e.expires) && now.Sub(e.demanded) >= daneInDoubt {
			delete(c.known, place)
		}
	}
	for place := range c.known {
		if len(c.known) < maxDANE*9/10 {
			return
		}
		delete(c.known, place)
	}
}
