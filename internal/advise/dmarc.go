package advise

import (
	"strings"

	"mailgate/internal/preflight"
)

// dmarc publishes a policy that asks for nothing but reports where there is no
// usable one.
func (a *adviser) dmarc() {
	troubles := a.troubles(func(f preflight.Finding) bool { return isDMARCRecordFault(f) })
	if len(troubles) == 0 && !a.want.All {
		return
	}
	name := a.dmarcName(troubles)
	findings := a.report.Of(preflight.DMARC)
	now, known := a.now(findings, name, isDMARC)
	if a.want.Now == nil && len(now) > 0 && isClipped(now[0]) {
		return
	}
	r := Record{Check: preflight.DMARC, Codes: codes(troubles), Type: "TXT", Name: name, Value: a.firstPolicy(name)}
	switch {
	case len(now) == 0:
	case has(troubles, "dmarc-several-records"):
		r.Value = strictest(now)
		r.Notes = append(r.Notes, dmarcOneNote)
	case len(troubles) > 0:
		r.Value, r.Notes = a.repaired(now[0], name)
	default:
		r.Value = now[0]
	}
	r.Replaces = without(now, r.Value)
	if a.want.Now != nil {
		r.Alias = a.want.Now(name).Alias
		r.State = stateOf(r, findings, known)
		if len(now) > 0 && len(troubles) == 0 && (r.State == ToAdd || r.State == ToReplace) {
			r.State = AsItIs
		}
		r.Next = dmarcPath(r.Value)
		if r.State == Unsure {
			r.Notes = append(r.Notes, "What is published now is not known: if there is a DMARC record, leave it.")
		}
	}
	a.publish(r)
}

// firstPolicy is the record to begin with.
func (a *adviser) firstPolicy(name string) string {
	address := a.want.Reports
	if address == "" {
		address = "postmaster@" + strings.TrimPrefix(name, "_dmarc.")
	}
	return dmarcVersion + "; p=none; rua=mailto:" + address
}

const dmarcOneNote = "Keep one record, this or another of them, and delete the others: receivers that find several act as if there were none."

// without returns the values other than one.
func without(values []string, one string) []string {
	return matching(values, func(v string) bool { return v != one })
}

// isDMARCRecordFault tells findings that no record counts. One that counts in
// spite of a mistake is never replaced: its policy is the owner's.
func isDMARCRecordFault(f preflight.Finding) bool {
	switch f.Code {
	case "dmarc-missing", "dmarc-several-records":
		return true
	case "dmarc-syntax":
		return f.Status == preflight.Fail
	}
	return false
}

// dmarcName is where the findings looked, and From's own name otherwise.
func (a *adviser) dmarcName(troubles []preflight.Finding) string {
	const prefix = "_dmarc."
	for _, f := range append(troubles, a.report.Of(preflight.DMARC)...) {
		if strings.HasPrefix(f.Name, prefix) {
			return f.Name
		}
	}
	return prefix + string(a.report.From)
}

// isDMARC is generous: a record with a mistake in its version is one to replace.
func isDMARC(txt string) bool {
	return strings.HasPrefix(strings.TrimLeft(strings.ToUpper(strings.ReplaceAll(txt, " ", "")), `"'\`), "V=DMARC")
}
