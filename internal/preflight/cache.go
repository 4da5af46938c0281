package preflight

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
)

// entry is what is remembered of one identity. The Checker's mutex guards it.
type entry struct {
	report *Report   // what is served; nil: nothing yet
	stored time.Time // when it was put here
	began  uint64    // number of the re-check that it is from, or not older than
	until  time.Time // until when it may be served
	known  *Report   // the last report without unknowns
	lacks  string    // names that DNS last gave no answer about
	flight *flight   // a check under way, nil: none
	used   time.Time
}

// flight is one check that any number of callers wait for.
type flight struct {
	done   chan struct{} // closed when report is there
	report *Report
}

const (
	graceAfterExpiry = 5 * time.Minute // a fully good report serves so long while it is refreshed
	staleFor         = 24 * time.Hour  // so long the last complete report stands in for unknowns
)

// mayServe reports whether the report may be served now. Bad news is not served
// after its time, so that a mended zone is seen at once.
func (e *entry) mayServe(now time.Time) bool {
	if e.report == nil {
		return false
	}
	return now.Before(e.until) || e.report.good() && now.Before(e.until.Add(graceAfterExpiry))
}

// wantsRefresh reports whether a served report is in the last fifth of its life.
func (e *entry) wantsRefresh(now time.Time) bool {
	return e.flight == nil && now.After(e.until.Add(-e.until.Sub(e.stored)/5))
}

// store keeps a fresh report, or lets the last complete one stand in for it, and
// returns what is kept, and what the fresh one lacks. What a check found that began
// before the re-check whose report is kept is older news, though it comes later: it
// changes nothing that is known.
func (e *entry) store(fresh *Report, began uint64, now time.Time) (kept *Report, lacks lack) {
	if began < e.began && !e.report.Stale && !e.report.lacksAnswers() {
		return e.report, lack{}
	}
	e.report, e.began = fresh, began
	switch {
	case !fresh.lacksAnswers():
		e.known = fresh
	case e.known != nil && now.Sub(e.known.Checked) < staleFor && !hasNewFailure(fresh, e.known):
		stale := *e.known
		stale.Stale, stale.Expires = true, fresh.Expires
		e.report = &stale
	}
	e.stored, e.until = now, e.report.Expires
	return e.report, e.lack(fresh)
}

// good reports that nothing fails and DNS owes no answer.
func (r *Report) good() bool { return r.Worst() != Fail && !r.lacksAnswers() }

// lacksAnswers reports that DNS owes an answer.
func (r *Report) lacksAnswers() bool { return slices.ContainsFunc(r.Findings, Finding.isOwed) }

// isOwed reports whether DNS owes the answer. What is unknown because it isn't
// configured does not count.
func (f Finding) isOwed() bool {
	return f.Status == Unknown && f.Code != "egress-not-set" && f.Code != "helo-not-set"
}

// lack is what DNS gave no answer about, for the log.
type lack struct {
	names string // sorted, with commas between; empty: nothing
	again bool   // as the time before
}

// lack compares what a fresh report lacks with the one before. The Checker's mutex
// is held.
func (e *entry) lack(fresh *Report) lack {
	var names []string
	for _, f := range fresh.Findings {
		if f.isOwed() {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	now := strings.Join(slices.Compact(names), ",")
	before := e.lacks
	e.lacks = now
	return lack{names: now, again: now == before}
}

// hasNewFailure reports whether fresh fails definitely where known did not: such
// news is not hidden behind an old report.
func hasNewFailure(fresh, known *Report) bool {
	return slices.ContainsFunc(fresh.Findings, func(f Finding) bool {
		return f.Status == Fail && !slices.ContainsFunc(known.Findings, func(old Finding) bool {
			return old.Code == f.Code && old.Name == f.Name && old.Address == f.Address
		})
	})
}

// entryFor returns the entry of a key, making room for it if it is new. The
// mutex is held.
func (c *Checker) entryFor(key string, now time.Time) *entry {
	e := c.entries[key]
	if e == nil {
		if len(c.entries) >= c.options.MaxEntries {
			c.evict()
		}
		e = &entry{}
		c.entries[key] = e
	}
	e.used = now
	return e
}

// evict drops the least recently used of a few entries taken at random.
func (c *Checker) evict() {
	const sample = 8
	var oldest string
	var used time.Time
	seen := 0
	for key, e := range c.entries {
		if e.flight != nil {
			continue
		}
		if oldest == "" || e.used.Before(used) {
			oldest, used = key, e.used
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(c.entries, oldest)
}

// launch starts a check, or joins the one under way. The mutex is held.
func (c *Checker) launch(ctx context.Context, e *entry, id Identity) *flight {
	if e.flight != nil {
		return e.flight
	}
	f := &flight{done: make(chan struct{})}
	e.flight = f
	began := e.began // its answers may be remembered ones: it is no newer than what is known
	// The check serves others too, so it doesn't end with this caller.
	ctx = context.WithoutCancel(ctx)
	if e.report != nil {
		ctx = dnsview.Fresh(ctx, refreshAge(e))
	}
	go func() {
		report := c.inquire(ctx, id)
		now := c.options.Now()
		c.mu.Lock()
		kept, lack := e.store(report, began, now)
		f.report, e.flight = kept, nil
		close(f.done)
		c.mu.Unlock()
		c.tell(ctx, id, lack)
		c.options.Found(f.report)
	}()
	return f
}

// refreshAge returns how old the answers of a refresh may be: a quarter of the
// old report's life, so that identities of one domain share them and the new
// report lives long enough.
func refreshAge(e *entry) time.Duration {
	life := e.until.Sub(e.stored)
	if e.report.Worst() == Fail {
		life = min(life, badLife)
	}
	return max(life/4, time.Second)
}
