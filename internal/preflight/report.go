package preflight

import (
	"net/netip"
	"time"

	"mailgate/internal/mail"
)

// Report is what was found for one Identity. Reports are shared between
// messages and must not be changed; as JSON they are kept as evidence.
type Report struct {
	From        mail.Domain  `json:"from"`
	MailFrom    mail.Domain  `json:"mail_from"` // "" for the null sender
	Helo        mail.Domain  `json:"helo"`
	Egress      []netip.Addr `json:"egress"`
	Findings    []Finding    `json:"findings"`
	NameServers []string     `json:"name_servers"` // of the From domain's zone, sorted
	Facts       Facts        `json:"facts"`        // what rules are written on
	Checked     time.Time    `json:"checked"`
	Expires     time.Time    `json:"expires"`
	Stale       bool         `json:"stale,omitempty"` // an older report, served because DNS gives no answer now
}

// Worst returns the most harmful status among the findings: a definite failure
// outweighs an unknown.
func (r *Report) Worst() Status {
	worst := Pass
	for _, f := range r.Findings {
		if f.Status.rank() > worst.rank() {
			worst = f.Status
		}
	}
	return worst
}

// Of returns the findings of one check, in the order they are shown.
func (r *Report) Of(check Check) []Finding {
	var of []Finding
	for _, f := range r.Findings {
		if f.Check == check {
			of = append(of, f)
		}
	}
	return of
}

// Find returns the first finding with that code.
func (r *Report) Find(code string) (Finding, bool) {
	for _, f := range r.Findings {
		if f.Code == code {
			return f, true
		}
	}
	return Finding{}, false
}
