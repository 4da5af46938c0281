package advise

import (
	"slices"

	"mailgate/internal/preflight"
)

// State tells what DNS holds of a record now.
type State string

const (
	NotLooked State = ""          // it is a mend of what a report found
	AsItIs    State = "published" // nothing is to be done
	Partly    State = "partly"    // on some of the zone's name servers only, so nothing is to be written
	ToAdd     State = "add"       // nothing of its kind is published
	ToReplace State = "replace"   // what is published must go: Record.Replaces and Record.Alias
	Faulty    State = "faulty"    // published, with a fault that this record can't mend: in an include, a key that is too short, what takes a decision; Advice.Steps say which
	Unsure    State = "unknown"   // DNS gave no answer
)

// Now is what the TXT records at a name are now, each whole.
type Now struct {
	Known  bool // DNS gave an answer
	Values []string
	Alias  string // what the name is a CNAME for, the last of several; Values are those found there
}

// now returns the TXT values at name that match: as Want.Now has them, or as far as
// the findings' evidence goes. It is false where nothing is known.
func (a *adviser) now(findings []preflight.Finding, name string, match func(string) bool) ([]string, bool) {
	if a.want.Now != nil {
		now := a.want.Now(name)
		return matching(now.Values, match), now.Known
	}
	values := published(findings, name, match)
	if whole := recorded(findings, name, match); whole != nil && len(values) <= 1 {
		values = whole
	}
	return values, true
}

// stateOf tells the state of a record in general; findings are those about it.
func stateOf(r Record, findings []preflight.Finding, known bool) State {
	switch {
	case !known || len(r.Codes) == 0 && has(findings, "dns-unreachable", "dnssec-bogus", "check-failed"):
		return Unsure
	case has(findings, "ns-disagree"):
		return Partly
	case len(r.Replaces) > 0 || r.Alias != "":
		return ToReplace
	}
	return ToAdd
}

// has reports whether one of the findings has one of the codes.
func has(findings []preflight.Finding, codes ...string) bool {
	return slices.ContainsFunc(findings, func(f preflight.Finding) bool { return slices.Contains(codes, f.Code) })
}
