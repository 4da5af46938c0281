package advise

import (
	"strings"

	"mailgate/internal/preflight"
)

// dmarc publishes a policy that asks for nothing but reports where there is no
// usable one.
func (a *adviser) dmarc() {
	troubles := a.troubles(func(f preflight.Finding) bool { return isDMARCRecordCode(f.Code) })
	if len(troubles) == 0 && !a.want.All {
		return
	}
	name := a.dmarcName(troubles)
	now := published(append(troubles, a.report.Of(preflight.DMARC)...), name, isDMARC)
	r := Record{
		Check: preflight.DMARC, Codes: codes(troubles), Type: "TXT", Name: name,
		Value: "v=DMARC1; p=none; rua=mailto:postmaster@" + strings.TrimPrefix(name, "_dmarc."),
	}
	keep := len(now) > 0 && (len(troubles) == 0 || troubles[0].Code == "dmarc-several-records")
	if keep {
		r.Value, now = now[0], now[1:]
		r.Notes = append(r.Notes, dmarcKeepNotes(troubles)...)
	}
	r.Replaces = now
	a.publish(r)
}

func isDMARCRecordCode(code string) bool {
	switch code {
	case "dmarc-missing", "dmarc-several-records", "dmarc-syntax":
		return true
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
