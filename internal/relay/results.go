package relay

import (
	"crypto/tls"
	"errors"
	"net/netip"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// Results hears how TLS went, session by session, for the reports of RFC 8460.
// Sessions with next hops are not among them: no domain's policy is about these.
type Results interface{ Session(TLSSession) }

// TLSSession is one session with an MX host, or one that its policy forbade to begin.
type TLSSession struct {
	Domain mail.Domain // of the recipients
	Host   mail.Domain
	Local  netip.Addr
	Remote netip.Addr
	Policy tlspolicy.Policy // for this host
	Err    error            // why TLS failed, or would have failed a policy in testing mode; nil: all went well
	// Heard is what mox's client makes of a failed handshake, of which Err has but
	// the words; zero: there was none.
	Heard tlsrpt.FailureDetails
}

// ErrNoSTARTTLS is the Err of a session with a host that offers no STARTTLS.
var ErrNoSTARTTLS = errors.New("the server offers no STARTTLS")

// noteTLS tells Results of a session that was opened first with everything, and failed
// with err; a session that failed for another reason than TLS is none.
func (e *Engine) noteTLS(o opening, s *session, failed error) {
	if e.o.Results == nil || o.report || o.route.Via != "" || o.policy.Level == tlspolicy.None {
		return
	}
	result := TLSSession{Domain: o.to.Domain, Host: mail.Domain(o.host.name), Remote: o.address.Addr(), Policy: o.policy, Err: failed}
	var state *tls.ConnectionState
	switch {
	case s != nil:
		result.Local, state = s.localAddress(), s.state
	case failed == nil:
		return
	}
	if failed == nil && state == nil {
		result.Err = ErrNoSTARTTLS
	}
	if w, ok := errors.AsType[withCause](failed); ok {
		result.Heard = w.heard
	}
	if tested := o.policy.Tested(result.Host, state, e.o.RootCAs); tested != nil && failed == nil {
		result.Err = tested
	}
	e.o.Results.Session(result)
}

// noteBarred tells Results of a host that may not be used, and why.
func (e *Engine) noteBarred(r Route, d mail.Domain, h host, p tlspolicy.Policy, why error) {
	if e.o.Results != nil && r.Via == "" {
		e.o.Results.Session(TLSSession{Domain: d, Host: mail.Domain(h.name), Policy: p, Err: why})
	}
}

// localAddress is the one the server sees, unless addresses are translated.
func (s *session) localAddress() netip.Addr {
	if at, err := netip.ParseAddrPort(s.conn.LocalAddr().String()); err == nil {
		return at.Addr().Unmap()
	}
	return netip.Addr{}
}
