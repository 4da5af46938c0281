package advise

import (
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// For returns what to publish and do, so that what the report found wrong or
// missing is mended. What DNS gave no answer about is left alone.
func For(report *preflight.Report, want Want) Advice {
	a := adviser{report: report, want: want, advice: Advice{Records: []Record{}, Steps: []Step{}}}
	a.dkim()
	a.spf()
	a.dmarc()
	a.hosts()
	a.steps()
	return a.advice
}

// adviser collects the advice on one report.
type adviser struct {
	report *preflight.Report
	want   Want
	advice Advice
}

// publish adds a record to the advice.
func (a *adviser) publish(r Record) {
	r.TTL = defaultTTL
	r.Zone = a.want.zone(r.Name, string(a.report.Facts.DMARC.SuffixOrg))
	a.advice.Records = append(a.advice.Records, r)
}

// troubles returns the findings that want mending among those that match.
func (a *adviser) troubles(match func(preflight.Finding) bool) []preflight.Finding {
	var found []preflight.Finding
	for _, f := range a.report.Findings {
		if (f.Status == preflight.Fail || f.Status == preflight.Warn) && match(f) {
			found = append(found, f)
		}
	}
	return found
}

// codes returns the codes of findings, each once.
func codes(findings []preflight.Finding) []string {
	var all []string
	for _, f := range findings {
		if !slices.Contains(all, f.Code) {
			all = append(all, f.Code)
		}
	}
	return all
}

// published returns what DNS holds at name now: the TXT values that match in the
// fullest answer the findings rest on. One server's answer, since servers may
// disagree; the domain's own before a resolver's, which may be old; never the
// panel's.
func published(findings []preflight.Finding, name string, match func(string) bool) []string {
	for _, view := range []string{"authoritative", "recursive"} {
		var fullest []string
		for _, f := range findings {
			for _, o := range f.Evidence {
				if string(o.View) != view || o.Name != name || o.Type != "TXT" && o.Type != "SPF" {
					continue
				}
				if values := matching(o.Records, match); len(values) > len(fullest) {
					fullest = values
				}
			}
		}
		if len(fullest) > 0 {
			return fullest
		}
	}
	return nil
}

// recorded returns the record a finding about name has, nil if none matches. It is
// whole, where evidence may have it shortened.
func recorded(findings []preflight.Finding, name string, match func(string) bool) []string {
	for _, f := range findings {
		if f.Name == name && match(f.Record) {
			return []string{f.Record}
		}
	}
	return nil
}

// isClipped reports whether a value was shortened to be shown.
func isClipped(txt string) bool { return strings.ContainsRune(txt, '…') }

func matching(values []string, match func(string) bool) []string {
	var all []string
	for _, v := range values {
		if match(v) {
			all = append(all, v)
		}
	}
	return all
}
