package advise

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

const dmarcVersion = "v=DMARC1"

// policies from mild to strict. RFC 9989 section 4.7.
func policies() []string { return []string{"none", "quarantine", "reject"} }

// policyOf returns a record's p=, "none" where it has no valid one.
func policyOf(txt string) string {
	if p := strings.ToLower(dmarcTags(txt).values["p"]); slices.Contains(policies(), p) {
		return p
	}
	return "none"
}

// oneOf is the one of several records that stays, the strictest. Receivers take none of
// them today, so where our own mail would fail it is the mildest, and asks for nothing.
func (a *adviser) oneOf(records []string, name string) (string, []string) {
	if a.passesAligned() {
		return slices.MaxFunc(records, byPolicy), []string{dmarcOneNote}
	}
	best := slices.MinFunc(records, byPolicy)
	if policyOf(best) == "none" {
		return best, []string{dmarcOneNote}
	}
	value, notes := a.repaired(best, name)
	return value, append(notes, dmarcOneNote)
}

// byPolicy orders records by what they ask for, the mildest first.
func byPolicy(a, b string) int {
	return cmp.Compare(slices.Index(policies(), policyOf(a)), slices.Index(policies(), policyOf(b)))
}

// repaired writes a record that counts for nothing as it was meant. Its policy
// takes effect with that, so a strict one is kept only where our own mail passes.
func (a *adviser) repaired(txt, name string) (string, []string) {
	policy, meant := policyOf(txt), policyOf(txt)
	if meant != "none" && !a.passesAligned() {
		policy = "none"
	}
	tags := dmarcTags(txt)
	value := tags.record(policy)
	if tags.values["rua"] == "" {
		value += strings.TrimPrefix(a.firstPolicy(name), dmarcVersion+"; p=none")
	}
	notes := []string{"Today's counts for nothing: receivers act as if there were none."}
	if len(tags.unclear) > 0 {
		notes = append(notes, "Left out, as receivers can't read it: "+strings.Join(tags.unclear, ", ")+". Add what was meant by it.")
	}
	switch {
	case policy != meant:
		notes = append(notes, fmt.Sprintf("It was meant as p=%s, under which our own mail would be refused now: publish that once DKIM or SPF passes.", meant))
	case meant != "none":
		notes = append(notes, fmt.Sprintf("With this one p=%s takes effect: if others send for the domain too, begin with p=none and read the reports.", meant))
	}
	return value, notes
}

// passesAligned reports that DKIM or SPF is known to pass aligned.
func (a *adviser) passesAligned() bool {
	facts := a.report.Facts
	for _, k := range facts.DKIM {
		if k.Valid == preflight.Yes && k.Aligned == preflight.Yes {
			return true
		}
	}
	return facts.SPF.Result == preflight.SPFPass && facts.SPF.Aligned == preflight.Yes
}

// dmarcPath says how a policy becomes stricter, without harm to one's own mail.
func dmarcPath(txt string) []string {
	var path []string
	if dmarcTags(txt).values["rua"] == "" {
		path = append(path, "Add rua=mailto:ADDRESS: without reports nobody can tell whose mail a stricter policy would hit.")
	}
	switch policyOf(txt) {
	case "none":
		path = append(path,
			"p=quarantine, once two to four weeks of reports show that all mail you know of passes.",
			"p=reject, once two more weeks have shown no loss. Leave it at quarantine while people post to mailing lists.")
	case "quarantine":
		path = append(path, "p=reject, once two weeks of reports show no mail of yours that fails. Leave it at quarantine while people post to mailing lists.")
	}
	return path
}
