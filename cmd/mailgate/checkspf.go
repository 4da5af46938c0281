package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

const (
	spfMaxLookups = 10 // RFC 7208 section 4.6.4
	spfMaxVoid    = 2
)

// spfTree prints the policy as a tree: its records, and of their terms those that
// cost a lookup, decide about an egress address, or are in trouble.
func (s checkScreen) spfTree(t *preflight.SPFTree) {
	if t == nil || t.Root.Record == "" {
		return
	}
	s.detail(t.Root.Record)
	s.spfTerms(t, t.Root, "")
	s.detail(spfCounts(t))
	if len(t.NotCovered) > 0 {
		s.detail("not covered: " + addressWords(t.NotCovered))
	}
}

// spfCounts is "3/10 lookups, 0/2 void", of an address that nothing matches.
func spfCounts(t *preflight.SPFTree) string {
	text := fmt.Sprintf("%d/%d lookups, %d/%d void", t.Lookups, spfMaxLookups, t.VoidLookups, spfMaxVoid)
	if t.AtLeast {
		text = "at least " + text
	}
	if t.Lookups > spfMaxLookups || t.VoidLookups > spfMaxVoid {
		text += ": too many for an address that no term matches before the limit"
	}
	return text
}

func addressWords(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

func (s checkScreen) spfTerms(t *preflight.SPFTree, n *preflight.SPFNode, branch string) {
	var shown []*preflight.SPFTerm
	for _, term := range n.Terms {
		if showsTerm(term) {
			shown = append(shown, term)
		}
	}
	for i, term := range shown {
		corner, below := "├ ", "│ "
		if i == len(shown)-1 {
			corner, below = "└ ", "  "
		}
		s.treeWords(branch+corner, branch+below+"    ", spfTermWords(t, n, term))
		if term.Include == nil {
			continue
		}
		if term.Include.Record != "" {
			s.treeLine(branch+below+"  ", plain(term.Include.Record, 0))
		}
		s.spfTerms(t, term.Include, branch+below)
	}
}

// treeLine prints one line of the tree, cut to the screen.
func (s checkScreen) treeLine(branch, text string) {
	line := screenIndent + branch + text
	if s.width > 0 {
		line = fit(line, s.width)
	}
	fmt.Fprintln(s.out, line)
}

// treeWords prints words in one line of the tree, or those that don't fit below.
func (s checkScreen) treeWords(branch, below string, words []string) {
	line := words[0]
	for _, word := range words[1:] {
		if s.width > 0 && cells(screenIndent+branch+line+"  "+word) > s.width {
			s.treeLine(branch, line)
			branch, line = below, word
			continue
		}
		line += "  " + word
	}
	s.treeLine(branch, line)
}

func showsTerm(t *preflight.SPFTerm) bool {
	costs := t.Lookups > 0 || t.Include != nil
	odd := t.Error != "" || t.Unknown || t.Unreached && !t.IsModifier()
	return costs || odd || len(t.Matches) > 0
}

// spfTermWords are a term, what it costs, and who ends there.
func spfTermWords(t *preflight.SPFTree, n *preflight.SPFNode, term *preflight.SPFTerm) []string {
	words := []string{plain(term.Text, 60)}
	if term.Lookups > 0 {
		words = append(words, "("+count(term.Lookups, "lookup", "lookups")+voidWord(term)+")")
	}
	if len(term.Found) > 0 && term.Name() != "exists" {
		found := term.Found[:min(len(term.Found), 3)]
		more := ""
		if len(term.Found) > len(found) {
			more = ", …"
		}
		words = append(words, "= "+strings.Join(found, ", ")+more)
	}
	if trouble := spfTrouble(term); trouble != "" {
		words = append(words, trouble)
	}
	if term.Include == nil || term.Include.Record == "" {
		words = append(words, spfEnds(t, n, term)...)
	}
	return words
}

func voidWord(t *preflight.SPFTerm) string {
	if t.VoidLookups == 0 {
		return ""
	}
	return fmt.Sprintf(", %d void", t.VoidLookups)
}

func spfTrouble(t *preflight.SPFTerm) string {
	switch {
	case t.Error != "":
		return "✗ " + plain(t.Error, 0)
	case t.Unreached:
		return "! never reached: \"all\" comes before it"
	case t.Unknown:
		return "? not known: DNS gives no answer, or it hangs on the address"
	case t.Include == nil:
		return ""
	}
	switch t.Include.Status {
	case preflight.SPFNodeMissing:
		return "✗ no SPF record there"
	case preflight.SPFNodeSeveral:
		return "✗ several SPF records there"
	case preflight.SPFNodeUnknown:
		return "? DNS gives no answer"
	case preflight.SPFNodeLoop:
		return "✗ leads back: a loop"
	case preflight.SPFNodeNotFollowed:
		return "? not followed"
	}
	return ""
}

// spfEnds names the egress addresses that a term decides about, by what it decides.
func spfEnds(t *preflight.SPFTree, n *preflight.SPFNode, term *preflight.SPFTerm) []string {
	var words []string
	byResult := map[preflight.SPFResult][]string{}
	var results []preflight.SPFResult
	for _, path := range t.Addresses {
		if path.Term != term.Text || path.Via[len(path.Via)-1] != n.Domain || !slices.Contains(term.Matches, path.Address) {
			continue
		}
		if byResult[path.Result] == nil {
			results = append(results, path.Result)
		}
		byResult[path.Result] = append(byResult[path.Result], path.Address.String())
	}
	for _, result := range results {
		sign := "✗"
		if result == preflight.SPFPass {
			sign = "✓"
		}
		if result == preflight.SPFTempError {
			sign = "?"
		}
		words = append(words, fmt.Sprintf("%s %s: %s", sign, strings.Join(byResult[result], ", "), result))
	}
	return words
}
