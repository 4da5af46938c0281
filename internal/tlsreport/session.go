package tlsreport

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/mjl-/adns"
	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// Session is how TLS went with an MX host.
type Session struct {
	Domain mail.Domain // of the recipients
	Host   mail.Domain
	Local  netip.Addr       // what the host sees us as; zero: not known
	Remote netip.Addr       // of the host; zero: there was no connection
	Policy tlspolicy.Policy // for the host
	Err    error            // why TLS failed; nil: it didn't

	// Heard is what mox's SMTP client makes of a failed handshake, where Err doesn't
	// have the cause itself.
	Heard tlsrpt.FailureDetails
}

// ErrNoSTARTTLS is the Err of a session with a host that offers no STARTTLS.
var ErrNoSTARTTLS = errors.New("the server offers no STARTTLS")

// counted reports whether the domain is to hear of the session: not where what
// happened is our own setting's doing, save that it lacks the DANE we want.
func (s *Session) counted() bool {
	p := &s.Policy
	own := p.Destination != "" || p.Source == tlspolicy.FromOverride || p.Source == tlspolicy.FromRoute
	return s.Domain != "" && (!own || errors.Is(s.Err, tlspolicy.ErrTLSA))
}

// policy is what the domain demands, as reports name it. sts is what is known of its
// MTA-STS policy.
func (s *Session) policy(sts tlspolicy.STSState) policy {
	p := &s.Policy
	switch {
	case errors.Is(s.Err, tlspolicy.ErrUnsettled):
		return policy{Type: tlsrpt.TLSA, Domain: string(s.Host)}
	case errors.Is(s.Err, tlspolicy.ErrTLSA):
	case p.Source == tlspolicy.FromDANE && !s.failedTest():
		base := string(s.Host) // the TLSA base domain (RFC 7672, section 2.2.3)
		if p.Origins.ServerName == tlspolicy.FromDANE {
			base = p.ServerName
		}
		return policy{Type: tlsrpt.TLSA, Domain: base, String: recordsOf(p.TLSA)}
	case p.Source == tlspolicy.FromMTASTS:
		return policy{Type: tlsrpt.STS, Domain: string(s.Domain), String: linesOf(sts.Text), MX: bounded(p.Hosts)}
	case p.Testing:
		return policy{Type: tlsrpt.STS, Domain: string(s.Domain), String: linesOf(sts.Text), MX: bounded(p.TestHosts)}
	case sts.Fault != nil:
		return policy{Type: tlsrpt.STS, Domain: string(s.Domain)}
	}
	return policy{Type: tlsrpt.NoPolicyFound, Domain: string(s.Domain)}
}

// failedTest reports whether a session that is well by DANE would have failed the
// MTA-STS policy in testing mode: a handshake that failed leaves its cause in Heard.
func (s *Session) failedTest() bool {
	return s.Policy.Testing && s.Err != nil && s.Heard.ResultType == "" && !errors.Is(s.Err, tlspolicy.ErrTLSAMismatch)
}

// recordsOf writes TLSA records as in a zone: "3 1 1 0123…".
func recordsOf(records []tlspolicy.TLSA) []string {
	var texts []string
	for _, r := range records[:min(len(records), maxLines)] {
		texts = append(texts, adns.TLSA{Usage: adns.TLSAUsage(r.Usage), Selector: adns.TLSASelector(r.Selector),
			MatchType: adns.TLSAMatchType(r.MatchingType), CertAssoc: r.Data}.Record())
	}
	slices.Sort(texts) // DNS gives them in any order
	return texts
}

const (
	maxLines = 50      // of a policy
	maxText  = 4 << 10 // bytes of them
)

// linesOf are those of an MTA-STS policy as it is served.
func linesOf(text string) []string {
	var lines []string
	for line := range strings.Lines(text[:min(len(text), maxText)]) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, strings.ToValidUTF8(line, "\ufffd"))
		}
	}
	return bounded(lines)
}

func bounded(list []string) []string { return list[:min(len(list), maxLines)] }
