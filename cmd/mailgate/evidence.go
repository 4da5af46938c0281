package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
)

// sideBySide is how many columns two pieces of evidence need beside each other.
const sideBySide = 100

// findingPair is one finding then and now; nil where it was not found.
type findingPair struct{ then, now *preflight.Finding }

// printThenAndNow shows each finding of the hold beside that of now, with what the
// name servers answered. It returns the codes that are not ok, in order.
func printThenAndNow(out io.Writer, p paint, d quarantine.Detail, f showFlags, screen int) []string {
	then, now := thenReport(d), d.Report
	if then == nil && now == nil {
		return nil
	}
	if screen == 0 {
		screen = sideBySide
	}
	pairs := pairFindings(then, now)
	fmt.Fprintln(out)
	heads := [2]string{headOf("THEN", then), headOf("NOW", now)}
	if then != nil && now != nil && then.Checked.Equal(now.Checked) {
		heads[1] = "NOW, not asked again yet"
	}
	if then != nil && now != nil && (f.wide || !f.narrow && screen >= sideBySide) {
		printColumns(out, p, pairs, heads, max(screen, sideBySide))
	} else {
		printBelow(out, p, pairs, heads, screen)
	}
	return pairCodes(pairs)
}

// headOf is the heading of one report, empty without one.
func headOf(word string, r *preflight.Report) string {
	if r == nil {
		return ""
	}
	head := word + ", " + r.Checked.Local().Format(time.DateTime)
	if r.Stale {
		head += " (DNS gives no answer: older evidence)"
	}
	return head
}

// pairFindings puts together what is about the same thing: first those with the same
// code, then the rest in order.
func pairFindings(then, now *preflight.Report) []findingPair {
	var pairs []findingPair
	left := findingsOf(now)
	for _, old := range findingsOf(then) {
		i := slices.IndexFunc(left, func(x *preflight.Finding) bool { return sameThing(old, x) && old.Code == x.Code })
		if i < 0 {
			i = slices.IndexFunc(left, func(x *preflight.Finding) bool {
				return sameThing(old, x) && !slices.ContainsFunc(findingsOf(then), func(y *preflight.Finding) bool {
					return sameThing(y, x) && y.Code == x.Code
				})
			})
		}
		pair := findingPair{then: old}
		if i >= 0 {
			pair.now = left[i]
			left = slices.Delete(left, i, i+1)
		}
		pairs = append(pairs, pair)
	}
	for _, x := range left {
		pairs = append(pairs, findingPair{now: x})
	}
	return pairs
}

func findingsOf(r *preflight.Report) []*preflight.Finding {
	if r == nil {
		return nil
	}
	list := make([]*preflight.Finding, len(r.Findings))
	for i := range r.Findings {
		list[i] = &r.Findings[i]
	}
	return list
}

func sameThing(a, b *preflight.Finding) bool {
	return a.Check == b.Check && a.Selector == b.Selector && a.Address == b.Address
}

func pairCodes(pairs []findingPair) []string {
	var codes []string
	for _, pair := range pairs {
		for _, f := range []*preflight.Finding{pair.then, pair.now} {
			if f != nil && f.Status != preflight.Pass && !slices.Contains(codes, f.Code) {
				codes = append(codes, f.Code)
			}
		}
	}
	return codes
}

// detailed reports whether the servers' answers are worth showing: one side isn't
// well, and the other shows what has changed.
func (x findingPair) detailed() bool {
	return x.then != nil && x.then.Status != preflight.Pass || x.now != nil && x.now.Status != preflight.Pass
}

func printColumns(out io.Writer, p paint, pairs []findingPair, heads [2]string, screen int) {
	const rule = " │ "
	column := (screen - len(" | ")) / 2
	line := func(left, right evidenceLine) {
		fmt.Fprintln(out, strings.TrimRight(left.painted(p)+strings.Repeat(" ", max(0, column-cells(left.text)))+rule+right.painted(p), " "))
	}
	line(evidenceLine{text: fit(heads[0], column)}, evidenceLine{text: fit(heads[1], column)})
	for _, pair := range pairs {
		left := evidenceLines(pair.then, pair.detailed(), "not found then", column)
		right := evidenceLines(pair.now, pair.detailed(), "no longer found", column)
		for i := range max(len(left), len(right)) {
			line(at(left, i), at(right, i))
		}
	}
}

func at(lines []evidenceLine, i int) evidenceLine {
	if i < len(lines) {
		return lines[i]
	}
	return evidenceLine{}
}

func printBelow(out io.Writer, p paint, pairs []findingPair, heads [2]string, screen int) {
	for side, head := range heads {
		if head == "" {
			continue
		}
		if side > 0 && heads[0] != "" {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, head)
		for _, pair := range pairs {
			f := pair.then
			if side == 1 {
				f = pair.now
			}
			if f == nil {
				continue
			}
			for _, l := range evidenceLines(f, pair.detailed(), "", screen) {
				fmt.Fprintln(out, l.painted(p))
			}
		}
	}
}

// evidenceLine is a line of a column. Status, when set, is that of the mark the line
// begins with.
type evidenceLine struct {
	text   string
	status preflight.Status
}

func (l evidenceLine) painted(p paint) string {
	if l.status == "" {
		return l.text
	}
	bare := mark(paint{}, l.status)
	return mark(p, l.status) + strings.TrimPrefix(l.text, bare)
}

// evidenceLines is a finding in lines of at most n cells.
func evidenceLines(f *preflight.Finding, detailed bool, missing string, n int) []evidenceLine {
	if f == nil {
		return []evidenceLine{{text: "  " + missing}}
	}
	head := fmt.Sprintf("%s %-5s %s  %s", mark(paint{}, f.Status), strings.ToUpper(string(f.Check)), plain(aboutOf(f), 60), f.Code)
	if cells(head) > n {
		head = fmt.Sprintf("%s %-5s %s", mark(paint{}, f.Status), strings.ToUpper(string(f.Check)), f.Code)
	}
	lines := []evidenceLine{{text: fit(head, n), status: f.Status}}
	if !detailed {
		return lines
	}
	add := func(indent, s string) {
		for _, l := range wrap(plain(s, 0), max(n-len(indent), 10)) {
			lines = append(lines, evidenceLine{text: indent + l})
		}
	}
	add("  ", f.Text+lookups(*f))
	for _, o := range f.Evidence {
		if o.Error == "" && f.Check != preflight.SOA && (o.Type == "SOA" || o.Type == "NS") {
			continue // how the zone and its servers were found: in the JSON
		}
		add("  ", answerLine(f, o))
		for _, r := range o.Records {
			add("    ", r)
		}
	}
	return lines
}

func aboutOf(f *preflight.Finding) string {
	for _, s := range []string{f.Selector, f.Address, f.Name} {
		if s != "" {
			return s
		}
	}
	return ""
}

// answerLine is one server's answer to a question about f: server, rcode, aa, TTL
// and time; the question, too, where it isn't about the finding's own name.
func answerLine(f *preflight.Finding, o dnsview.Observation) string {
	words := []string{o.Server}
	if o.View != dnsview.Authoritative {
		words = append(words, "("+string(o.View)+")")
	}
	if o.Name != f.Name {
		words = append(words, o.Name, o.Type)
	}
	if o.Rcode != "" {
		words = append(words, o.Rcode)
	}
	if o.Error != "" {
		words = append(words, o.Error)
	}
	if o.AA {
		words = append(words, "aa")
	}
	line := strings.Join(words, " ")
	if o.Rcode != "" {
		line += fmt.Sprintf(" TTL %d", o.TTL)
	}
	return line + fmt.Sprintf(", %dms", o.RTT.Round(time.Millisecond).Milliseconds())
}

// thenReport is the report the message was held on, nil if there is none.
func thenReport(d quarantine.Detail) *preflight.Report {
	var then preflight.Report
	if len(d.Then) == 0 || json.Unmarshal(d.Then, &then) != nil || then.Checked.IsZero() {
		return nil
	}
	return &then
}
