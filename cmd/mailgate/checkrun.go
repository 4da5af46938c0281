package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/advise"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// checked is what `check` shows of one domain.
type checked struct {
	Domain      string                 `json:"domain"`
	Verdict     string                 `json:"verdict"`      // pass, fail or unknown
	At          string                 `json:"at,omitempty"` // the one server that was asked
	Notes       []string               `json:"notes,omitempty"`
	Selectors   []string               `json:"selectors_found,omitempty"` // in common use and published: a hint, where none is known
	Report      *preflight.Report      `json:"report"`
	Keys        []keyEvidence          `json:"keys,omitempty"`
	SPF         *preflight.SPFTree     `json:"spf_tree,omitempty"`
	DMARC       *preflight.DMARCView   `json:"dmarc,omitempty"`
	Predictions []preflight.Prediction `json:"predictions"`
	Advice      advise.Advice          `json:"advice"`
	hostOf      advise.HostOf
}

// keyEvidence is what each server has of a key.
type keyEvidence struct {
	Domain   mail.Domain           `json:"domain"`
	Selector string                `json:"selector"`
	Servers  []preflight.KeyServer `json:"servers"`
}

// checkRun is one run of `check`.
type checkRun struct {
	site     *site
	view     *view
	flags    checkFlags
	targets  []checkTarget
	dnsTime  time.Duration // that DNS may take for one domain
	several  bool          // a line each, and an array as JSON
	to       mail.Domain   // whose answer is predicted; "": the big providers
	host     advise.Host   // in whose form records are shown; "": told from the name servers
	json     bool
	progress *progress
	look     func(ctx context.Context, t checkTarget, fresh bool) *checked
}

const (
	checkTime    = 5 * time.Second // bounds what DNS may take for one domain; see wiring.dnsTime
	checksAtOnce = 8
)

// timeForDNS bounds what DNS may take for one domain.
func (w wiring) timeForDNS() time.Duration { return cmp.Or(w.dnsTime, checkTime) }

func (a *app) timeForDNS() time.Duration { return a.quietWiring().timeForDNS() }

// run checks all targets, and with --wait those that aren't well again. Its results
// are in the order of the targets, without those that an interruption left out; the
// error says how far it came then.
func (r *checkRun) run(ctx context.Context) ([]*checked, error) {
	results := make([]*checked, len(r.targets))
	var all []int
	for i := range r.targets {
		all = append(all, i)
	}
	bad := 0
	r.each(ctx, all, false, func(i int, c *checked, done int) {
		if results[i] = c; c.Verdict != "pass" {
			bad++
		}
		if r.several {
			r.progress.say(func() string { return fmt.Sprintf("checking: %d of %d done, %d not well", done, len(all), bad) })
		}
	})
	if r.flags.wait > 0 && ctx.Err() == nil {
		r.wait(ctx, results)
	}
	r.progress.clear()
	total := len(results)
	results = slices.DeleteFunc(results, func(c *checked) bool { return c == nil })
	if ctx.Err() == nil {
		return results, nil
	}
	if len(results) == total && r.flags.wait > 0 {
		return results, fmt.Errorf("interrupted while waiting: %d of %d not well yet", notWell(results), total)
	}
	return results, fmt.Errorf("interrupted: %d of %d checked", len(results), total)
}

func notWell(results []*checked) int {
	n := 0
	for _, c := range results {
		if c.Verdict != "pass" {
			n++
		}
	}
	return n
}

// each checks the targets with these numbers, some at once, and calls done for
// each that ended before ctx did, one after the other.
func (r *checkRun) each(ctx context.Context, numbers []int, fresh bool, done func(i int, c *checked, n int)) {
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	var mu sync.Mutex
	n := 0
	for _, i := range numbers {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			c := r.look(ctx, r.targets[i], fresh)
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil // what it says of DNS is not DNS's doing
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			done(i, c, n)
			return nil
		})
	}
	_ = group.Wait()
}

// one checks a domain. Fresh asks DNS again for all of it.
func (r *checkRun) one(ctx context.Context, t checkTarget, fresh bool) *checked {
	ctx, cancel := context.WithTimeout(ctx, r.dnsTime)
	defer cancel()
	if fresh { // side by side, and each question once
		ctx = dnsview.Fresh(preflight.Round(ctx, time.Now()), 0)
	}
	v, id := r.view, t.id
	c := &checked{Domain: string(t.domain), At: r.flags.at, Notes: r.site.notesOn(t), Predictions: []preflight.Prediction{}}
	providers := []preflight.Provider{preflight.Google, preflight.Microsoft, preflight.Yahoo, preflight.Apple}
	var wg sync.WaitGroup
	if r.to != "" {
		wg.Go(func() { providers = []preflight.Provider{v.checker.Provider(ctx, r.to)} })
	}
	if len(id.Keys) == 0 {
		wg.Go(func() { c.Selectors = v.checker.FindSelectors(ctx, string(id.From)) })
	}
	wg.Go(func() {
		tree := v.checker.SPFTree(ctx, id.MailFrom, id.Helo, id.Egress)
		c.SPF = &tree
	})
	wg.Go(func() {
		dmarc := v.checker.DMARCView(ctx, id.From)
		c.DMARC = &dmarc
	})
	c.Report = r.report(ctx, id, fresh)
	wg.Wait()
	if r.flags.at != "" {
		r.onlyAt(c)
	}
	for _, k := range id.Keys {
		c.Keys = append(c.Keys, keyEvidence{k.Domain, k.Selector, v.checker.KeyServers(ctx, k)})
	}
	r.judge(ctx, c, id, providers, r.site.keysOf(t))
	return c
}

func (r *checkRun) report(ctx context.Context, id preflight.Identity, fresh bool) *preflight.Report {
	var report *preflight.Report
	if fresh {
		report = r.view.checker.Recheck(ctx, id)
	} else {
		report = r.view.checker.Check(ctx, id)
	}
	if len(id.Keys) == 0 {
		report = withoutKeyFinding(report)
	}
	return report
}

// onlyAt says whose word all this is.
func (r *checkRun) onlyAt(c *checked) {
	report, left := withoutElsewhere(c.Report)
	c.Report = report
	note := "only " + r.flags.at + " was asked; the world may be told something else"
	if left {
		note += ". It knows nothing of some names elsewhere (PTR, HELO), which are left out"
	}
	c.Notes = append(c.Notes, note)
}

// judge adds what would be answered, the verdict, and what to do.
func (r *checkRun) judge(ctx context.Context, c *checked, id preflight.Identity, providers []preflight.Provider, keys []sign.Key) {
	for _, p := range providers {
		prediction := preflight.Predict(p, c.Report, preflight.Extra{Bulk: gateConfig(r.site.cfg).Bulk(id.From)})
		if len(id.Keys) == 0 {
			prediction = leaveDKIMOpen(prediction)
		}
		if c.Report.Facts.SOA.From == preflight.No {
			prediction = leaveNonexistentOpen(prediction, id.From)
		}
		c.Predictions = append(c.Predictions, prediction)
	}
	c.Advice, c.hostOf = adviceFor(ctx, r.view.resolver, c.Report, keys)
	if r.host != "" {
		c.hostOf = advise.Always(r.host, "")
	}
	c.Notes = append(c.Notes, signerNotes(c.Report)...)
	c.Verdict = verdictOf(c, len(id.Keys) == 0)
}

// withoutKeyFinding leaves out that no key signs: who checks a domain without
// naming a selector said nothing about that.
func withoutKeyFinding(r *preflight.Report) *preflight.Report {
	shown := *r
	shown.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f preflight.Finding) bool { return f.Code == "dkim-no-key" })
	return &shown
}

// leaveDKIMOpen makes a refusal unknown that a signature might turn.
func leaveDKIMOpen(p preflight.Prediction) preflight.Prediction {
	p.Warnings = nil
	if p.Verdict == preflight.Refuse {
		p.Verdict, p.Reply, p.Codes = preflight.UnknownVerdict, "", nil
		p.Why = "it hangs on DKIM, which was not checked"
	}
	return p
}

// leaveNonexistentOpen has no acceptance predicted for a sender's domain that doesn't
// exist: many refuse it, by rules that aren't known for each.
func leaveNonexistentOpen(p preflight.Prediction, domain mail.Domain) preflight.Prediction {
	if p.Verdict == preflight.Accept {
		p.Verdict, p.Codes, p.Warnings = preflight.UnknownVerdict, []string{"soa-missing"}, nil
		p.Why = string(domain) + " does not exist in DNS, and many refuse mail from such domains"
	}
	return p
}

// verdictOf is fail when a finding fails or a refusal is predicted, unknown when
// DNS kept silent about something that matters or DKIM could not be looked at.
func verdictOf(c *checked, noKeys bool) string {
	worst := c.Report.Worst()
	open := noKeys || worst == preflight.Unknown
	for _, p := range c.Predictions {
		switch p.Verdict {
		case preflight.Refuse:
			worst = preflight.Fail
		case preflight.UnknownVerdict:
			open = true
		}
	}
	switch {
	case worst == preflight.Fail:
		return "fail"
	case open:
		return "unknown"
	}
	return "pass"
}
