package tlsprobe

import (
	"crypto/x509"
	"time"

	"mailgate/internal/tlspolicy"
)

// Host is what was found out about one mail server at one address.
type Host struct {
	Name    string           `json:"host"`
	Address string           `json:"address"`
	Policy  tlspolicy.Policy `json:"policy"`          // for this host
	Error   string           `json:"error,omitempty"` // why there was no conversation at all

	Greeting string `json:"greeting,omitempty"`
	StartTLS bool   `json:"starttls"` // offered, or TLS from the first byte on

	// Plain is the handshake with everything this program offers, whatever the
	// certificate; ByPolicy is the one that mail would be sent over. ByPolicy is nil
	// where the policy is none.
	Plain    *Handshake `json:"plain,omitempty"`
	ByPolicy *Handshake `json:"by_policy,omitempty"`
	// Versions are handshakes with one version only, from TLS 1.0 to 1.3.
	Versions []Handshake `json:"versions,omitempty"`
	// Lesser are handshakes that offer less, made where Plain failed: the first that
	// comes about says what the server chokes on.
	Lesser []Handshake `json:"lesser,omitempty"`

	Chain   []Certificate `json:"chain,omitempty"`
	Trusted string        `json:"trusted,omitempty"` // "yes", or why the chain isn't
	Named   string        `json:"named,omitempty"`   // "yes", or for whom the certificate is instead
	TLSA    []TLSARecord  `json:"tlsa,omitempty"`
	STS     *STS          `json:"mta_sts,omitempty"` // nil: the domain has no policy, or another decides
}

// Handshake is one attempt at TLS.
type Handshake struct {
	Offered    string            `json:"offered"` // in words
	Version    tlspolicy.Version `json:"version,omitempty"`
	Cipher     string            `json:"cipher,omitempty"`
	Group      string            `json:"group,omitempty"`      // of the key exchange
	Error      string            `json:"error,omitempty"`      // empty: it came about
	Transcript []string          `json:"transcript,omitempty"` // of one that failed
	Unreached  bool              `json:"unreached,omitempty"`  // the connection ended before TLS began, which tells nothing of it

	limits limits
}

// OK tells a handshake that came about.
func (h *Handshake) OK() bool { return h != nil && h.Error == "" }

// Certificate is one of a chain.
type Certificate struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    []string  `json:"names,omitempty"`
	NotAfter time.Time `json:"not_after"`
	Key      string    `json:"key"` // "RSA 2048"
}

func viewChain(chain []*x509.Certificate) []Certificate {
	var list []Certificate
	for _, c := range chain[:min(len(chain), maxChain)] {
		names := c.DNSNames
		list = append(list, Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names[:min(len(names), maxNames)],
			NotAfter: c.NotAfter.UTC(), Key: describeKey(c),
		})
	}
	return list
}

// What is shown of a certificate chain is bounded: a server may send anything.
const (
	maxChain = 8
	maxNames = 50
)
