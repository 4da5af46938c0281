package tlsprobe

import (
	"crypto/tls"
	"fmt"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// TLSARecord is one of the host's TLSA records (RFC 6698).
type TLSARecord struct {
	Record string `json:"record"` // "3 1 1 ab12…"
	Fits   bool   `json:"fits"`   // the certificate shown
}

// STS is what the domain's MTA-STS policy (RFC 8461) says to the host.
type STS struct {
	Mode    string `json:"mode"`              // enforce or testing
	Problem string `json:"problem,omitempty"` // why the host fails it; empty: it doesn't
}

// compare holds what the host shows against what its domain demands. state is nil
// where there was no TLS.
func (p Prober) compare(h *Host, t Target, state *tls.ConnectionState) {
	for _, r := range t.Policy.TLSA {
		h.TLSA = append(h.TLSA, TLSARecord{
			Record: fmt.Sprintf("%d %d %d %x", r.Usage, r.Selector, r.MatchingType, r.Data),
			Fits:   state != nil && fits(t, r, *state),
		})
	}
	tested := t.Policy
	switch {
	case t.Policy.Testing:
		h.STS = &STS{Mode: "testing"}
	case t.Policy.Source == tlspolicy.FromMTASTS:
		h.STS = &STS{Mode: "enforce"}
		tested.Testing, tested.TestHosts = true, t.Policy.Hosts
	default:
		return
	}
	if err := tested.Tested(mail.Domain(t.Name), state, p.Roots); err != nil {
		h.STS.Problem = err.Error()
	}
}

// fits tells a certificate that a record by itself would let pass.
func fits(t Target, r tlspolicy.TLSA, state tls.ConnectionState) bool {
	alone := tlspolicy.Policy{Level: tlspolicy.DANEOnly, TLSA: []tlspolicy.TLSA{r}, MatchNames: t.Policy.MatchNames}
	return alone.TLSConfig(t.Name).VerifyConnection(state) == nil
}
