package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/preflight"
)

// screenIndent is before what belongs to the line above.
const screenIndent = "    "

// checkScreen is where and how checks are printed.
type checkScreen struct {
	out      io.Writer
	paint    paint
	width    int  // 0: no limit
	brief    bool // one of several: only what isn't well is explained
	evidence bool // of what is well, too
	host     advise.Host
	waited   bool // --wait was given, and need not be offered
}

// print shows the results: an object or array as JSON; else one domain in full, or
// several as a line each and then those that aren't well.
func (r *checkRun) print(cmd *cobra.Command, results []*checked) error {
	switch {
	case r.json && r.several:
		return printJSON(cmd, results)
	case len(results) == 0:
		return nil
	case r.json:
		return printJSON(cmd, results[0])
	}
	out := cmd.OutOrStdout()
	s := checkScreen{
		out: out, paint: painter(out), width: screenWidth(out), brief: r.several, evidence: r.flags.evidence,
		host: r.host, waited: r.flags.wait > 0,
	}
	if !r.several {
		return s.check(results[0])
	}
	results = worstFirst(results)
	shared := sharedNotes(results)
	s.board(results)
	s.notes(shared)
	if r.flags.summary {
		return nil
	}
	return s.details(results, shared)
}

// details shows those of several that aren't well, without the notes said before.
func (s checkScreen) details(results []*checked, said []string) error {
	offer := map[string]bool{}
	for _, c := range results {
		if c.Verdict == "pass" {
			continue
		}
		fmt.Fprintln(s.out)
		shown := *c
		shown.Notes = slices.DeleteFunc(slices.Clone(c.Notes), func(n string) bool { return slices.Contains(said, n) })
		if err := s.check(&shown); err != nil {
			return err
		}
		for _, part := range s.offers(c) {
			offer[part] = true
		}
	}
	if len(offer) > 0 {
		fmt.Fprintln(s.out)
		s.next(slices.Sorted(maps.Keys(offer)))
	}
	return nil
}

// sharedNotes are those that all domains have, to be said once.
func sharedNotes(results []*checked) []string {
	var shared []string
	for _, note := range results[0].Notes {
		if !slices.ContainsFunc(results, func(c *checked) bool { return !slices.Contains(c.Notes, note) }) {
			shared = append(shared, note)
		}
	}
	return shared
}

// check shows one domain: the findings, evidence for those that aren't well, the
// predicted answers, and what to publish.
func (s checkScreen) check(c *checked) error {
	s.head(c)
	s.findings(c)
	s.notes(c.Notes)
	if len(c.Selectors) > 0 {
		var flags []string
		for _, selector := range c.Selectors {
			flags = append(flags, "--selector "+selector)
		}
		s.wrapped(s.paint.yellow("!")+" ", fmt.Sprintf("found %s published: check with %s", plural(len(c.Selectors), "a key", "keys"), strings.Join(flags, " ")))
	}
	fmt.Fprintln(s.out)
	s.predictions(c.Predictions)
	if len(c.Advice.Records)+len(c.Advice.Steps) == 0 {
		return nil
	}
	fmt.Fprintln(s.out)
	if err := s.advice(c); err != nil {
		return err
	}
	if !s.brief {
		s.next(s.offers(c))
	}
	return nil
}

// advice prints what to publish and do. Records are never broken: they are copied.
func (s checkScreen) advice(c *checked) error {
	var b strings.Builder
	if err := advise.Write(&b, c.Advice, c.hostOf); err != nil {
		return err
	}
	const prose = "      " // of notes and steps
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, "\n")
		if text, found := strings.CutPrefix(line, prose); found {
			printWrapped(s.out, prose, text, s.width)
			continue
		}
		fmt.Fprintln(s.out, line)
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// head is the domain, who was asked, and when.
func (s checkScreen) head(c *checked) {
	servers := serversLine(c.Report.NameServers)
	if c.At != "" {
		servers = "asked: " + plain(c.At, 60) + " only"
	}
	at := c.Report.Checked.UTC().Format("15:04:05 UTC")
	line := fmt.Sprintf("%s        %s        %s", c.Domain, servers, at)
	if s.width == 0 || cells(line) <= s.width {
		fmt.Fprintln(s.out, line)
		return
	}
	fmt.Fprintf(s.out, "%s        %s\n", c.Domain, at)
	s.wrapped("", servers)
}

func serversLine(servers []string) string {
	if len(servers) == 0 {
		return "name servers: not known"
	}
	return "name servers: " + strings.Join(servers, ", ")
}

// wrapped prints text after a head, in lines that fit; the others are indented by
// screenIndent.
func (s checkScreen) wrapped(head, text string) {
	if s.width == 0 {
		fmt.Fprintln(s.out, head+text)
		return
	}
	indent := head
	for _, line := range wrap(text, max(s.width-len(screenIndent), 20)) {
		fmt.Fprintln(s.out, indent+line)
		indent = screenIndent
	}
}

// detail prints text under the line above.
func (s checkScreen) detail(text string) {
	printWrapped(s.out, screenIndent, plain(text, 0), s.width)
}

func (s checkScreen) notes(notes []string) {
	for _, note := range notes {
		s.wrapped(s.paint.yellow("!")+" ", plain(note, 0))
	}
}

// findings prints a line or more for each; the SPF tree and the DMARC tags follow
// the last of theirs.
func (s checkScreen) findings(c *checked) {
	about := 0
	for _, f := range c.Report.Findings {
		about = max(about, min(cells(shownAbout(f)), 24))
	}
	for i, f := range c.Report.Findings {
		if !s.brief || f.Status != preflight.Pass {
			s.finding(c, f, about)
		}
		if i+1 < len(c.Report.Findings) && c.Report.Findings[i+1].Check == f.Check {
			continue
		}
		well := checkStatus(c.Report, f.Check) == preflight.Pass
		switch {
		case s.brief && well:
		case f.Check == preflight.SPF:
			s.spfTree(c.SPF)
		case f.Check == preflight.DMARC:
			s.dmarc(c.DMARC)
		}
	}
}

// checkStatus is the worst among the findings of one check, "" if there is none.
func checkStatus(r *preflight.Report, check preflight.Check) preflight.Status {
	of := r.Of(check)
	if len(of) == 0 {
		return ""
	}
	return (&preflight.Report{Findings: of}).Worst()
}

// shownAbout is what a finding is about, without what its kind says already.
func shownAbout(f preflight.Finding) string {
	about := f.Name
	switch {
	case f.Selector != "":
		about = f.Selector
	case f.Address != "":
		about = f.Address
	}
	return plain(strings.TrimPrefix(about, "_dmarc."), 60)
}

func (s checkScreen) finding(c *checked, f preflight.Finding, about int) {
	head := fmt.Sprintf("%s %-6s %s   ", mark(s.paint, f.Status), strings.ToUpper(string(f.Check)), pad(shownAbout(f), about))
	if f.Status == preflight.Pass {
		s.hanging(head, plain(f.Text, 0))
		s.keyEvidence(c, f)
		if s.evidence && f.Check != preflight.DKIM {
			s.observations(f)
		}
		return
	}
	fmt.Fprintln(s.out, head+f.Code)
	s.detail(f.Text)
	explained := f.Check == preflight.SPF && c.SPF != nil && c.SPF.Root.Record == f.Record ||
		f.Check == preflight.DMARC && c.DMARC != nil && (c.DMARC.Record == f.Record || slices.Contains(c.DMARC.Records, f.Record))
	onlyLocal := f.Code == "dkim-only-on-local-dns" || f.Code == "dkim-wrong-provider-zone"
	if f.Record != "" && !explained && !onlyLocal { // else it follows, taken apart
		s.detail("published: " + plain(f.Record, 200))
	}
	if !s.keyEvidence(c, f) {
		s.observations(f)
	}
}

// hanging prints text after a head, and what doesn't fit below it.
func (s checkScreen) hanging(head, text string) {
	bare := head
	if s.paint.on {
		_, bare, _ = strings.Cut(head, "\x1b[0m") // the mark is one cell
		bare = " " + bare
	}
	if s.width == 0 || cells(bare)+cells(text) <= s.width {
		fmt.Fprintln(s.out, head+text)
		return
	}
	lines := wrap(text, max(s.width-cells(bare), 20))
	fmt.Fprintln(s.out, head+lines[0])
	for _, line := range wrap(strings.Join(lines[1:], " "), max(s.width-len(screenIndent), 20)) {
		fmt.Fprintln(s.out, screenIndent+line)
	}
}

func mark(p paint, s preflight.Status) string {
	switch s {
	case preflight.Pass:
		return p.green("✓")
	case preflight.Warn:
		return p.yellow("!")
	case preflight.Fail:
		return p.red("✗")
	}
	return p.yellow("?")
}

func lookups(f preflight.Finding) string {
	if f.Check != preflight.SPF || f.Lookups == 0 {
		return ""
	}
	return fmt.Sprintf("   %d/10 lookups", f.Lookups)
}

// predictions prints what each provider would say; those that say the same and no
// more share a line.
func (s checkScreen) predictions(predictions []preflight.Prediction) {
	var taken []string
	open := map[string][]string{}
	var whys []string
	for _, x := range predictions {
		name := x.Provider.Title()
		switch x.Verdict {
		case preflight.Refuse:
			fmt.Fprintf(s.out, "%s %s would say (prediction, rule %s):\n", s.paint.red("✗"), name, x.Rule)
			s.detail(x.Reply)
		case preflight.Accept:
			if len(x.Warnings) == 0 {
				taken = append(taken, name)
				continue
			}
			fmt.Fprintf(s.out, "%s %s would take it (prediction)\n", s.paint.green("✓"), name)
		default:
			why := plain(openWhy(x), 0)
			if open[why] == nil {
				whys = append(whys, why)
			}
			open[why] = append(open[why], name)
		}
		for _, w := range x.Warnings {
			s.detail(w)
		}
	}
	for _, why := range whys {
		s.wrapped(s.paint.yellow("?")+" ", fmt.Sprintf("%s: can't be predicted; %s", andList(open[why]), why))
	}
	if len(taken) > 0 {
		fmt.Fprintf(s.out, "%s %s would take it (prediction)\n", s.paint.green("✓"), andList(taken))
	}
}

// andList is words as people write them: a, b and c.
func andList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// openWhy says briefly what a prediction hangs on; the findings have it in full.
func openWhy(x preflight.Prediction) string {
	if len(x.Codes) > 0 && !slices.Contains(x.Codes, "soa-missing") {
		return "it hangs on what is not known (" + strings.Join(x.Codes, ", ") + ")"
	}
	return x.Why
}

// offers are other ways to show the records, and how to wait for them.
func (s checkScreen) offers(c *checked) []string {
	var parts []string
	if len(c.Advice.Records) > 0 && s.host == "" {
		parts = append(parts, "Other forms: --as "+hostWords("|"))
	}
	if len(c.Advice.Records) > 0 && len(c.Keys) > 0 && len(c.Report.Egress) > 0 && c.Verdict != "pass" && !s.waited {
		parts = append(parts, "Wait for it: --wait 10m")
	}
	return parts
}

// next is the last line.
func (s checkScreen) next(offers []string) {
	line := strings.Join(offers, "        ")
	if s.width > 0 && cells(line) > s.width {
		line = strings.Join(offers, "\n")
	}
	if line != "" {
		fmt.Fprintln(s.out, line)
	}
}
