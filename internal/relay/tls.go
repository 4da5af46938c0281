package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/mjl-/mox/smtpclient"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// hostPolicy is the policy for one server of a destination. A trouble says that mail
// can't be given to it: it waits, rather than leave with less.
func (e *Engine) hostPolicy(ctx context.Context, r Route, to tlspolicy.Destination, h host) (tlspolicy.Policy, *trouble) {
	to.Host = mail.Domain(h.name)
	policy, err := e.demanded(ctx, to)
	if err == nil {
		return policy, nil
	}
	b, ok := errors.AsType[barred](err)
	if !ok {
		b = barred{err, fmt.Sprintf("no TLS policy for %s: %v", to.Domain, err)}
	}
	e.noteBarred(r, to.Domain, h, policy, b.error)
	why := later("4.7.5", "%s", b.words)
	why.host = h.name
	return policy, why
}

// barred is why a policy lets no mail be given to a server.
type barred struct {
	error
	words string
}

// demanded is the policy that holds for a server now; an error says that mail can't be
// given to it.
func (e *Engine) demanded(ctx context.Context, to tlspolicy.Destination) (tlspolicy.Policy, error) {
	policy, err := e.o.Policies.Lookup(ctx, to)
	switch {
	case err != nil:
		return policy, err
	case !policy.Allows(to.Host):
		return policy, barred{tlspolicy.ErrHost, fmt.Sprintf("the MTA-STS policy of %s doesn't allow its MX host %s", to.Domain, to.Host)}
	case (policy.Level == tlspolicy.DANE || policy.Level == tlspolicy.DANEOnly) && len(policy.TLSA) == 0:
		return policy, barred{tlspolicy.ErrTLSA, fmt.Sprintf("the TLS policy of %s is %s, and no TLSA records of %s are known: they need resolvers that validate (dns.validating)", to.Domain, policy.Level, to.Host)}
	}
	return policy, nil
}

// openLess opens a session at level may after TLS failed with everything: once with
// what old software can take, and if that works it is remembered; or else without. A
// server that refuses STARTTLS says nothing about handshakes.
func (e *Engine) openLess(ctx context.Context, o opening, failed error) (*session, error) {
	answer, _ := errors.AsType[smtpclient.Error](failed)
	if less, ok := o.less(); ok && answer.Code == 0 {
		s, err := e.attempt(ctx, less, smtpclient.TLSOpportunistic)
		if !errors.Is(err, smtpclient.ErrTLS) {
			if err == nil && s.tls != "" && !o.report {
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
