package relay

import (
	"context"
	"reflect"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// key names what a session may be used for, as far as its way is concerned.
func (o opening) key() string { return o.route.key(o.to.Domain) }

// fits reports whether a session may be used for a domain: the way there, and what is
// demanded of it, are now as when it was opened. The domains behind a next hop have
// policies of their own, and any policy may change while a session lasts.
func (e *Engine) fits(ctx context.Context, settings Settings, s *session, d mail.Domain) bool {
	o := s.opening
	r := settings.routeFor(d)
	if o.report || r.key(d) != o.key() {
		return false
	}
	to := o.to
	to.Domain, to.Host = d, mail.Domain(o.host.name)
	policy, err := e.demanded(ctx, to)
	return err == nil && secureAlike(r.secured(policy, o.address.Addr()), o.policy)
}

// secureAlike reports whether two policies demand the same of a connection, wherever
// they come from.
func secureAlike(a, b tlspolicy.Policy) bool {
	demands := func(p tlspolicy.Policy) tlspolicy.Policy {
		return tlspolicy.Policy{
			Level: p.Level, MinVersion: p.MinVersion, MaxVersion: p.MaxVersion, Ciphers: p.Ciphers, Curves: p.Curves,
			ServerName: p.ServerName, MatchNames: p.MatchNames, Hosts: p.Hosts, TLSA: p.TLSA,
		}
	}
	return reflect.DeepEqual(demands(a), demands(b))
}
