package main

import (
	"context"

	"mailgate/internal/dnsview"
)

// warnUnvalidated warns where resolvers are said to validate and don't: DANE would be
// looked for and never found.
func (g *gateway) warnUnvalidated(ctx context.Context) {
	l := g.live.Load()
	if !l.cfg.DNS.Validating {
		return
	}
	if words := unvalidated(ctx, l.view.resolver); words != "" && ctx.Err() == nil {
		g.log.WarnContext(ctx, words, "resolvers", l.cfg.DNS.Resolvers)
	}
}

// unvalidated asks for what is signed wherever there is DNSSEC, and says what is wrong
// with the answer, "" if nothing is.
func unvalidated(ctx context.Context, dns *dnsview.Resolver) string {
	switch a := dns.Recursive(ctx, ".", "SOA"); {
	case a.Authentic:
		return ""
	case a.Status == dnsview.Unknown:
		return "dns.validating: DNS doesn't answer now, so it isn't known whether the resolvers validate"
	}
	return "dns.validating: the resolvers don't validate DNSSEC: the answer for the root has no AD bit, so DANE is found for no destination. Turn validation on there, or validating off"
}
