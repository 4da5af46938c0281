package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// gravity orders checks from the worst.
func (c *checked) gravity() int {
	switch {
	case c.Verdict == "fail":
		return 4 + len(c.refusing())
	case c.Verdict != "pass":
		return 2
	case c.Report.Worst() == preflight.Warn:
		return 1
	}
	return 0
}

// refusing names the providers that would refuse.
func (c *checked) refusing() []string {
	var names []string
	for _, p := range c.Predictions {
		if p.Verdict == preflight.Refuse {
			names = append(names, p.Provider.Title())
		}
	}
	return names
}

func worstFirst(results []*checked) []*checked {
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b *checked) int { return cmp.Compare(b.gravity(), a.gravity()) })
	return sorted
}

// board prints a line a domain, and how many are how.
func (s checkScreen) board(results []*checked) {
	g := &grid{cut: []int{0, 1, 2, 3, 4, 5}}
	g.add("DOMAIN", "DKIM", "SPF", "DMARC", "PTR", "VERDICT")
	verdicts := map[string]int{}
	for _, c := range results {
		verdicts[c.Verdict]++
		g.add(c.Domain, c.cell(preflight.DKIM), c.cell(preflight.SPF), c.cell(preflight.DMARC), c.cell(preflight.PTR), c.verdictWord())
	}
	g.write(s.out, s.width)
	var parts []string
	for _, verdict := range []string{"fail", "unknown", "pass"} {
		if n := verdicts[verdict]; n > 0 {
			parts = append(parts, thousands(n)+" "+verdict)
		}
	}
	fmt.Fprintf(s.out, "%s: %s\n", count(len(results), "domain", "domains"), strings.Join(parts, ", "))
}

// cell is the worst finding of one check, without what the column's head says.
func (c *checked) cell(check preflight.Check) string {
	if check == preflight.DKIM && len(c.Keys) == 0 {
		return "–"
	}
	status := checkStatus(c.Report, check)
	for _, f := range c.Report.Of(check) {
		if f.Status != status {
			continue
		}
		word := ""
		if status != preflight.Pass {
			word = strings.TrimPrefix(strings.TrimPrefix(f.Code, string(check)+"-"), "dns-")
		} else if check == preflight.DMARC && c.Report.Facts.DMARC.Policy != "" {
			word = string(c.Report.Facts.DMARC.Policy)
		}
		return strings.TrimSpace(mark(paint{}, status) + " " + word)
	}
	return "–"
}

// verdictWord says who would refuse, or else what isn't well.
func (c *checked) verdictWord() string {
	if refusing := c.refusing(); len(refusing) > 0 {
		word := "refused by " + refusing[0]
		if more := len(refusing) - 1; more > 0 {
			word += fmt.Sprintf(" +%d", more)
		}
		return word
	}
	word := c.Verdict
	for _, f := range c.Report.Findings { // what has no column of its own
		shown := slices.Contains([]preflight.Check{preflight.DKIM, preflight.SPF, preflight.DMARC, preflight.PTR}, f.Check)
		if !shown && f.Status != preflight.Pass {
			return word + ": " + f.Code
		}
	}
	if c.Verdict == "pass" && c.Report.Worst() == preflight.Warn {
		word += ", with warnings"
	}
	return word
}
