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
	now := dmarcNow(a.report.Of(preflight.DMARC), name)
	if len(now) > 0 && isClipped(now[0]) {
		return
	}
	r := Record{
		Check: preflight.DMARC, Codes: codes(troubles), Type: "TXT", Name: name,
		Value: "v=DMARC1; p=none; rua=mailto:postmaster@" + strings.TrimPrefix(name, "_dmarc."),
	}
	keep := len(now) > 0 && (len(troubles) == 0 || troubles[0].Code == "dmarc-several-records")
	if keep {
		r.Value, now = now[0], now[1:]
		r.Notes = append(r.Notes, dmarcKeepNotes(troubles)...)
	}
	if r.Replaces = now; len(now) > 0 && !keep {
		r.Notes = append(r.Notes, "Today's counts for nothing, so p=none takes nothing away. Make it stricter once the reports are clean.")
	}
	a.publish(r)
}

// dmarcNow returns the DMARC records published at name.
func dmarcNow(findings []preflight.Finding, name string) []string {
	if now := published(findings, name, isDMARC); len(now) > 0 {
		return now
	}
	return recorded(findings, name, isDMARC)
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

func dmarcKeepNotes(troubles []preflight.Finding) []string {
	if len(troubles) == 0 {
		return nil
	}
	return []string{"Keep one record, this or another of them, and delete the others: receivers that find several act as if there were none."}
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
	return strings.HasPrefix(strings.ToUpper(strings.ReplaceAll(txt, " ", "")), "V=DMARC")
}
