package relay

import (
	"context"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// connectFor makes sure that there is a session for a message. A TLS report must come
// through despite the failures it tells of, and is to be in no report itself (RFC 8460,
// section 3). So it has a session of its own, and doesn't wait for the end of a pause
// that others' failures began.
func (w *worker) connectFor(ctx context.Context, m *spool.Message) *trouble {
	if !m.TLSReport {
		return w.connect(ctx)
	}
	w.hangUp()
	session, why := w.e.reach(ctx, w.e.settings(), w.domain, true)
	switch {
	case why == nil:
		w.session = session
	case why.permanent:
		w.blocked = why
	case ctx.Err() == nil && !w.paused():
		w.fail(ctx, why)
	}
	return why
}

// reportPolicy is the policy for a server that a report is given to: TLS if it can be
// had. What DNS doesn't tell demands nothing.
func (e *Engine) reportPolicy(ctx context.Context, to tlspolicy.Destination, h host) tlspolicy.Policy {
	to.Host = mail.Domain(h.name)
	policy, err := e.o.Policies.Lookup(ctx, to)
	if err != nil {
		return tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault}
	}
	return policy
}

// forReport takes from a policy what would keep a report back.
func forReport(p tlspolicy.Policy) tlspolicy.Policy {
	return tlspolicy.Policy{
		Level: min(p.Level, tlspolicy.May), Source: p.Source, ServerName: p.ServerName,
		MinVersion: p.MinVersion, MaxVersion: p.MaxVersion, Ciphers: p.Ciphers, Curves: p.Curves,
	}
}
