package main

import (
	"context"
	"fmt"
	"slices"

	"mailgate/internal/config"
	"mailgate/internal/mail"
)

// warnByDNS warns of what only DNS tells: once at the start, and after each reload.
func (g *gateway) warnByDNS(ctx context.Context) error {
	for {
		g.warnLoops(ctx)
		g.warnUnvalidated(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-g.reloaded:
		}
	}
}

// warnLoops warns of our own domains whose mail would come back to us, as reports to
// their users and the postmaster do.
func (g *gateway) warnLoops(ctx context.Context) {
	for _, d := range reportDomains(g.live.Load().cfg) {
		if host := g.engine.ComesBack(ctx, d); host != "" {
			g.log.WarnContext(ctx, "reports to this domain can't be delivered: its MX host is this machine, or has an address that mail leaves from. Add these three lines to the configuration, with the address of the server that takes its mail, and reload",
				"domain", d, "host", host, "lines", fmt.Sprintf("[[route]]   destination = '%s'   via = 'SERVER:25'", d))
		}
	}
}

// reportDomains are where the relay's reports go to: the domains with a key, and the
// postmaster's. None where nothing leaves by the relay.
func reportDomains(cfg *config.Config) []mail.Domain {
	if len(cfg.Relay.Listeners) == 0 && cfg.Release.Via != config.ReleaseViaRelay {
		return nil
	}
	var list []mail.Domain
	for _, d := range cfg.Domains {
		if !slices.Contains(list, d.Name) && !d.Wildcard {
			list = append(list, d.Name)
		}
	}
	if d := cfg.Hold.Postmaster.Domain; d != "" && !slices.Contains(list, d) {
		list = append(list, d)
	}
	return list
}
