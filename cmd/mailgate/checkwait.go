package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
)

const (
	firstPause = 5 * time.Second  // between two looks
	maxPause   = 30 * time.Second // nothing having changed
	quietPause = 15 * time.Second // at least, where DNS gives no answer
)

// wait tests again what isn't well, until all is or the time is over. It tells what
// is still wrong: on a terminal in one line that is written over, elsewhere in a line
// whenever that changes.
func (r *checkRun) wait(ctx context.Context, results []*checked) {
	until := time.Now().Add(r.flags.wait)
	pause, said := firstPause, ""
	for {
		var pending []int
		silent := true
		for i, c := range results {
			if c.Verdict != "pass" {
				pending = append(pending, i)
				silent = silent && c.Verdict == "unknown"
			}
		}
		left := time.Until(until)
		if len(pending) == 0 || left <= 0 {
			return
		}
		wrong := r.stillWrong(results, pending)
		if pause = pause * 3 / 2; wrong != said {
			pause = firstPause
		}
		if silent {
			pause = max(pause, quietPause)
		}
		pause = min(pause, maxPause, left)
		r.progress.waiting(wrong, wrong != said, pause, until)
		said = wrong
		if !sleep(ctx, pause) {
			return
		}
		r.each(ctx, pending, true, func(i int, c *checked, _ int) { results[i] = c })
	}
}

// waiting tells what is awaited.
func (p *progress) waiting(wrong string, changed bool, pause time.Duration, until time.Time) {
	if p.live {
		p.insist(func() string {
			return fmt.Sprintf("until %s, again in %s: %s", until.Format("15:04:05"), pause.Round(time.Second), wrong)
		})
		return
	}
	if changed && p.out != nil {
		fmt.Fprintln(p.out, time.Now().Format("15:04:05"), "waiting:", wrong)
	}
}

// sleep waits, and reports false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stillWrong names briefly what keeps the pending domains from being well.
func (r *checkRun) stillWrong(results []*checked, pending []int) string {
	if len(results) == 1 {
		return results[0].wrong()
	}
	const named = 3
	var parts []string
	for _, i := range pending[:min(len(pending), named)] {
		parts = append(parts, results[i].Domain+": "+results[i].wrong())
	}
	text := fmt.Sprintf("%d of %d not well: %s", len(pending), len(results), strings.Join(parts, "; "))
	if more := len(pending) - named; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// wrong names the findings that aren't well, each key with how many of its name
// servers have it.
func (c *checked) wrong() string {
	var parts []string
	for _, f := range c.Report.Findings {
		if f.Status != preflight.Fail && f.Status != preflight.Unknown {
			continue
		}
		part := strings.ToUpper(string(f.Check))
		if f.Selector != "" {
			part += " " + f.Selector
		}
		part += " " + f.Code
		if f.Check == preflight.DKIM {
			part += c.serversWith(f.Selector)
		}
		parts = append(parts, plain(part, 60))
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	for _, p := range c.Predictions { // by several warnings together
		if p.Verdict != preflight.Accept {
			parts = append(parts, p.Provider.Title()+" would not take it")
		}
	}
	return strings.Join(parts, ", ")
}

// serversWith counts the authoritative servers that have a key.
func (c *checked) serversWith(selector string) string {
	have, all := 0, 0
	for _, k := range c.Keys {
		for _, s := range k.Servers {
			if k.Selector != selector || s.View != dnsview.Authoritative || s.Match == preflight.KeyAlias {
				continue
			}
			all++
			if s.Match == preflight.KeyMatches {
				have++
			}
		}
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf(" (on %d of %d name servers)", have, all)
}
