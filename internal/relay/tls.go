package relay

import (
	"context"
	"errors"

	"github.com/mjl-/mox/smtpclient"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// hostPolicy is the policy for one server of a destination. A trouble says that mail
// can't be given to it: it waits, rather than leave with less.
func (e *Engine) hostPolicy(ctx context.Context, r Route, d mail.Domain, to tlspolicy.Destination, h host) (tlspolicy.Policy, *trouble) {
	to.Host = mail.Domain(h.name)
	policy, err := e.o.Policies.Lookup(ctx, to)
	var why *trouble
	reported := err
	switch {
	case err != nil:
		why = later("4.7.5", "no TLS policy for %s: %v", d, err)
	case !policy.Allows(to.Host):
		reported = tlspolicy.ErrHost
		why = later("4.7.5", "the MTA-STS policy of %s doesn't allow its MX host %s", d, h.name)
	case (policy.Level == tlspolicy.DANE || policy.Level == tlspolicy.DANEOnly) && len(policy.TLSA) == 0:
		reported = tlspolicy.ErrTLSA
		why = later("4.7.5", "the TLS policy of %s is %s, and no TLSA records of %s are known: they need resolvers that validate (dns.validating)", d, policy.Level, h.name)
	}
	if why != nil {
		why.host = h.name
		e.noteBarred(r, d, h, policy, reported)
	}
	return policy, why
}

// openLess opens a session at level may after TLS failed with everything: once with
// what old software can take, and if that works it is remembered; or else without.
func (e *Engine) openLess(ctx context.Context, o opening, failed error) (*session, error) {
	if less, ok := o.less(); ok {
		s, err := e.attempt(ctx, less, smtpclient.TLSOpportunistic)
		if !errors.Is(err, smtpclient.ErrTLS) {
			if err == nil && s.tls != "" {
				e.learnTLS(ctx, less, failed)
			}
			return s, err
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	e.log.InfoContext(ctx, "TLS failed, going on without it", "host", o.host.name, "address", o.address, "error", failed)
	return e.attempt(ctx, o, smtpclient.TLSSkip)
}

// less leaves out what middleboxes and old software choke on; false where that is
// left out already.
func (o opening) less() (opening, bool) {
	p := o.policy
	if _, highest := p.Versions(); highest == 0 || highest > tlspolicy.TLS12 {
		p.MaxVersion = tlspolicy.TLS12
	}
	p.Curves = tlspolicy.Classic
	changed := p.MaxVersion != o.policy.MaxVersion || p.Curves != o.policy.Curves
	o.policy = p
	return o, changed && p.MinVersion <= tlspolicy.TLS12
}

func (e *Engine) learnTLS(ctx context.Context, o opening, failed error) {
	host := mail.Domain(o.host.name)
	l := tlspolicy.Learned{MaxVersion: o.policy.MaxVersion, Curves: o.policy.Curves, Why: failed.Error()}
	if err := e.o.Policies.Learn(ctx, host, l); err != nil {
		e.log.WarnContext(ctx, "what a TLS handshake needs isn't kept over a restart", "host", host, "error", err)
	}
}
