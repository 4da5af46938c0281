package main

import (
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// dmarc prints the record, why it is the one that applies, and its tags one by one;
// those it lacks together, with what counts instead. Of records that count for nothing
// it prints no more than what is wrong.
func (s checkScreen) dmarc(v *preflight.DMARCView) {
	if v == nil {
		return
	}
	nothing := !slices.ContainsFunc(v.Walk, func(step preflight.DMARCStep) bool { return step.Status != preflight.DMARCStepNone })
	if v.Domain != v.From && !nothing {
		s.detail(v.Why)
		s.walk(v)
	}
	for _, record := range v.Records {
		s.detail(record)
	}
	if v.Record == "" {
		return
	}
	s.detail(v.Record)
	var defaults []string
	for _, t := range v.Tags {
		switch {
		case t.Default && t.Tag == "rua":
			defaults = append(defaults, "no rua ("+t.Meaning+")")
		case t.Default:
			defaults = append(defaults, t.Tag+"="+t.Value)
		default:
			s.tag(t)
		}
	}
	if len(defaults) > 0 {
		s.detail("without the tag: " + strings.Join(defaults, ", "))
	}
}

// tagCells is the width of the column of tags.
const tagCells = 14

func (s checkScreen) tag(t preflight.DMARCTag) {
	name := plain(t.Tag+"="+t.Value, 0)
	switch {
	case t.Tag == "":
		name = plain(t.Value, 0)
	case t.Tag == "rua" || t.Tag == "ruf":
		name = t.Tag
	}
	meaning := plain(t.Meaning, 0)
	switch {
	case t.Fault:
		meaning = "✗ " + meaning
	case t.Source == preflight.RFC7489:
		meaning = "! " + meaning
	}
	head := screenIndent + pad(name, tagCells) + "  "
	if s.width == 0 {
		s.treeLine("", strings.TrimPrefix(head, screenIndent)+meaning)
		return
	}
	if cells(name) > tagCells { // the meaning begins below
		s.treeLine("", name)
		head = screenIndent + strings.Repeat(" ", tagCells) + "  "
	}
	for _, line := range wrap(meaning, max(s.width-cells(head), 20)) {
		s.treeLine("", strings.TrimPrefix(head, screenIndent)+line)
		head = screenIndent + strings.Repeat(" ", tagCells) + "  "
	}
}

// walk prints the names that were looked at.
func (s checkScreen) walk(v *preflight.DMARCView) {
	g := &grid{cut: []int{0, 1}}
	g.add("", "")
	for _, step := range v.Walk {
		what := map[preflight.DMARCStepStatus]string{
			preflight.DMARCStepFound: "a record", preflight.DMARCStepNone: "none", preflight.DMARCStepUnknown: "no answer",
			preflight.DMARCStepVoid: "void: " + step.Error, preflight.DMARCStepSeveral: step.Error,
		}[step.Status]
		g.add(step.Name, plain(what, 0))
	}
	s.rows(g)
	if v.TreeOrg != "" && v.TreeOrg != v.SuffixOrg {
		s.detail("organisational domain: " + string(v.TreeOrg) + " by the tree walk (RFC 9989), " + string(v.SuffixOrg) + " by the public suffix list (RFC 7489)")
	}
}
