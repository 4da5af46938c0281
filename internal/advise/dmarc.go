package advise

import (
	"fmt"
	"slices"
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
	case has(troubles, "dmarc-several-records") && len(counting(now)) > 0:
		r.Value, r.Notes = a.oneOf(counting(now), name)
	case len(troubles) > 0:
		r.Value, r.Notes = a.repaired(now[0], name)
	default:
		r.Value = now[0]
		if usable := counting(now); len(usable) > 0 {
			r.Value = usable[0]
		}
	}
	r.Replaces = without(now, r.Value)
	if a.want.Now != nil {
		a.dmarcState(&r, len(now) > 0 && len(troubles) == 0, known, findings)
	}
	a.publish(r)
}

// dmarcState compares the record with what is published now; sound: one counts.
func (a *adviser) dmarcState(r *Record, sound, known bool, findings []preflight.Finding) {
	r.settle(a.want.Now(r.Name))
	r.State = stateOf(*r, findings, known)
	switch {
	case sound && r.State == ToReplace && len(r.Replaces) > 0:
		r.Notes = append(r.Notes, "This one counts and stays. Delete what else is there: it counts for nothing, or makes receivers find two.")
	case sound && (r.State == ToAdd || r.State == ToReplace):
		r.State = AsItIs
	case r.State == Unsure:
		r.Notes = append(r.Notes, "What is published now is not known: if there is a DMARC record, leave it.")
	}
	r.aliasNote()
	r.Next = dmarcPath(r.Value)
	a.reportsElsewhere(r)
}

// reportsElsewhere notes the record that lets reports go to another organisation's
// address: receivers send none without it. RFC 7489 section 7.1, RFC 9990.
func (a *adviser) reportsElsewhere(r *Record) {
	domain := strings.TrimPrefix(r.Name, "_dmarc.")
	for _, host := range dmarcTags(r.Value).reportHosts() {
		if ownOrganisation(host) == ownOrganisation(domain) {
			continue
		}
		name := domain + "._report._dmarc." + host
		now := a.want.Now(name)
		switch {
		case slices.ContainsFunc(now.Values, isDMARC):
		case now.Known:
			r.Notes = append(r.Notes, fmt.Sprintf(`Receivers send no reports to %s before it publishes %s TXT "v=DMARC1": ask for that (RFC 9990).`, host, name))
		default:
			r.Notes = append(r.Notes, fmt.Sprintf(`Receivers send reports to %s only if it publishes %s TXT "v=DMARC1" (RFC 9990); DNS didn't tell whether it does.`, host, name))
		}
	}
}

// counting returns the records that receivers can use.
func counting(records []string) []string { return matching(records, preflight.DMARCCounts) }

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
