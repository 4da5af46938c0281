package relay

import (
	"crypto/tls"
	"errors"
	"net/netip"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// Results hears how TLS went, session by session, for the reports of RFC 8460.
// Sessions with next hops are not among them: no domain's policy is about these.
type Results interface{ Session(TLSSession) }

// TLSSession is one session with an MX host.
type TLSSession struct {
	Domain mail.Domain // of the recipients
	Host   mail.Domain
	Local  netip.Addr
	Remote netip.Addr
	Policy tlspolicy.Policy // for this host
	Err    error            // why TLS failed, or would have failed a policy in testing mode; nil: all went well
}

// ErrNoSTARTTLS is the Err of a session with a host that offers no STARTTLS.
var ErrNoSTARTTLS = errors.New("the server offers no STARTTLS")

// noteTLS tells Results of a session that was opened first with everything, and failed
// with err; a session that failed for another reason than TLS is none.
func (e *Engine) noteTLS(o opening, s *session, failed error) {
	if e.o.Results == nil || o.route.Via != "" || o.policy.Level == tlspolicy.None {
		return
	}
	result := TLSSession{Domain: o.domain, Host: mail.Domain(o.host.name), Remote: o.address.Addr(), Policy: o.policy, Err: failed}
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
	if tested := o.policy.Tested(result.Host, state, e.o.RootCAs); tested != nil {
		result.Err = tested
	}
	e.o.Results.Session(result)
}

// localAddress is the one the server sees, unless addresses are translated.
func (s *session) localAddress() netip.Addr {
	if at, err := netip.ParseAddrPort(s.conn.LocalAddr().String()); err == nil {
		return at.Addr().Unmap()
	}
	return netip.Addr{}
}
