package preflight

import "mailgate/internal/dnsview"

// Status of a finding.
type Status string

const (
	Pass    Status = "pass"
	Warn    Status = "warn"    // works today, worth mending
	Fail    Status = "fail"    // receivers see it as failed
	Unknown Status = "unknown" // not known, mostly because DNS gave no answer
)

// rank orders statuses from harmless to harmful. A definite failure outweighs
// an unknown.
func (s Status) rank() int {
	switch s {
	case Fail:
		return 3
	case Unknown:
		return 2
	case Warn:
		return 1
	}
	return 0
}

// Check names what a finding is about; shown as a column.
type Check string

const (
	DKIM  Check = "dkim"
	SPF   Check = "spf"
	DMARC Check = "dmarc"
	PTR   Check = "ptr"
	SOA   Check = "soa"
	DNS   Check = "dns"
	Host  Check = "host"
	From  Check = "from"  // of the message itself, found by the gate
	Relay Check = "relay" // found by the relay: of the message itself, and by receivers
)

// Finding is one check of one name. Code is stable kebab-case; [Codes] lists
// them all with their meaning and mend.
type Finding struct {
	Check       Check                 `json:"check"`
	Code        string                `json:"code"` // "dkim-ok", "dkim-missing", "spf-softfail", …
	Status      Status                `json:"status"`
	Name        string                `json:"name"` // the DNS name looked at
	Selector    string                `json:"selector,omitempty"`
	Unused      bool                  `json:"unused,omitempty"`       // about a key that doesn't sign: another one does
	Address     string                `json:"address,omitempty"`      // egress address, for SPF and PTR
	Text        string                `json:"text"`                   // one plain sentence
	Record      string                `json:"record,omitempty"`       // what is published now, long keys shortened
	Lookups     int                   `json:"lookups,omitempty"`      // SPF: terms that cost a DNS query, at most 10
	VoidLookups int                   `json:"void_lookups,omitempty"` // SPF: of them without an answer, at most 2
	Evidence    []dnsview.Observation `json:"evidence,omitempty"`
}
