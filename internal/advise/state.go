package advise

import (
	"fmt"
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
	Alias  string // what the name is a CNAME for, the first of several; Values are those found there

	Wildcard bool // a name nobody has beside this one has the same, so it is a wildcard's
}

// settle notes what stands at the record's own name. What an alias or a wildcard
// answers with stands elsewhere, and isn't replaced here; but the name may have an SPF
// or DMARC record of its own that reads as the wildcard's does.
func (r *Record) settle(now Now) {
	r.Alias = now.Alias
	switch {
	case now.Wildcard && (r.Alias != "" || r.Check == preflight.DKIM):
		r.Alias, r.Replaces = "", nil
	case r.Alias != "":
		r.Replaces = nil
	case now.Wildcard && len(r.Replaces) > 0:
		r.Notes = append(r.Notes, "A wildcard (*) has today's, too: leave that one, and replace only what stands at this very name.")
	}
}

// aliasNote says what may be done about an alias that is in the way.
func (r *Record) aliasNote() {
	if r.State != ToReplace || r.Alias == "" {
		return
	}
	note := fmt.Sprintf("The name is an alias (CNAME) for %s: have the record published there, or delete the CNAME and publish it here.", r.Alias)
	if r.Check == preflight.SPF {
		note += " With the CNAME go the addresses and mail servers (A, AAAA, MX) the name has by it: enter these here, too, or its mail and its web site are lost."
	}
	r.Notes = append(r.Notes, note)
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
