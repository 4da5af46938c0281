package preflight

import "slices"

// Refusal is one of the answers a provider is predicted to give, for people.
type Refusal struct {
	Rule     string   `json:"rule"` // "gmail-unauthenticated"
	Provider Provider `json:"provider"`
	Bulk     bool     `json:"bulk,omitempty"`         // bulk senders get it; for others it is a warning
	Warning  bool     `json:"warning_only,omitempty"` // known to happen, not known when: never predicted
	Reply    string   `json:"reply"`                  // with {domain}, {sender}, {address} where they are named
	Source   string   `json:"source"`                 // where it is known from
	Checks   []Check  `json:"checks"`                 // whose findings it rests on
}

// Refusals returns every rule there is, in the order they are looked through.
func Refusals() []Refusal {
	var all []Refusal
	for _, r := range rules {
		all = append(all, Refusal{
			Rule: r.ID, Provider: r.Provider, Bulk: r.For == bulkSenders, Warning: r.For == warnOnly,
			Reply: r.Reply, Source: r.Source, Checks: slices.Clone(r.Rests),
		})
	}
	return all
}

// ExplainRule returns what is known of a rule; false when there is no such rule.
func ExplainRule(rule string) (Refusal, bool) {
	for _, r := range Refusals() {
		if r.Rule == rule {
			return r, true
		}
	}
	return Refusal{}, false
}
