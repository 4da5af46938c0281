package advise

import "mailgate/internal/preflight"

// Record is one DNS record to publish.
type Record struct {
	Check    preflight.Check `json:"check"`
	Codes    []string        `json:"codes,omitempty"` // finding codes it mends
	Type     string          `json:"type"`
	Name     string          `json:"name"` // absolute, without the final dot
	Zone     string          `json:"zone"` // apex of the zone it belongs in, "" if not known
	TTL      uint32          `json:"ttl"`  // seconds
	Value    string          `json:"value"`
	State    State           `json:"state,omitempty"`    // where Want.Now is set
	Replaces []string        `json:"replaces,omitempty"` // values at the same name that must go
	Alias    string          `json:"alias,omitempty"`    // what the name is a CNAME for now; it must go where State is ToReplace
	Lookups  int             `json:"lookups,omitempty"`  // SPF: DNS queries it takes, where they could be counted
	Fault    string          `json:"fault,omitempty"`    // why it won't do, published as it is here: a sentence; "" where nothing is known to stay wrong
	Notes    []string        `json:"notes,omitempty"`    // one sentence each
	Next     []string        `json:"next,omitempty"`     // what may follow later, a sentence each
}

// Step is something to do that isn't a record at the domain's DNS host.
type Step struct {
	Check preflight.Check `json:"check"`
	Code  string          `json:"code"` // of the finding
	Name  string          `json:"name"` // the DNS name, or the address, it is about
	Text  string          `json:"text"`
}

// Advice is what to do about a report. Its lists are empty, not nil, for JSON.
type Advice struct {
	Records []Record `json:"records"`
	Steps   []Step   `json:"steps"`
}

// defaultTTL is short enough for a mistake not to last, and long enough for
// receivers to keep the answer.
const defaultTTL = 3600
