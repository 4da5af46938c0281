// Package notice writes the mail that mailgate itself sends: to the author of a
// held message that it is late or comes back (delivery status notifications, RFC
// 3464, in a multipart/report, RFC 6522), and to the postmaster what is newly held
// and which records would mend it.
package notice

// Record is one DNS record that would mend a finding, in the form of the domain's
// DNS host.
type Record struct {
	At       string   `json:"at"` // "Cloudflare"
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Replaces []string `json:"replaces,omitempty"` // values at that name that must go
	Notes    []string `json:"notes,omitempty"`
}
