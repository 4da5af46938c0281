package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/preflight"
	"mailgate/internal/publish"
)

// plan asks the host what would change, name by name. Nothing is written.
func (p *publishing) plan(ctx context.Context) error {
	var names []string
	records := map[string][]advise.Record{}
	for _, r := range p.wanted.Advice.Records {
		if p.find(ctx, r) {
			if _, known := records[r.Name]; !known {
				names = append(names, r.Name)
			}
			records[r.Name] = append(records[r.Name], r)
		}
	}
	for _, name := range names {
		if err := p.planName(ctx, records[name]); err != nil {
			return err
		}
	}
	for _, s := range p.wanted.Advice.Steps {
		if slices.ContainsFunc(p.Faulty, func(r advise.Record) bool { return r.Check == s.Check }) {
			p.Steps = append(p.Steps, s)
		}
	}
	if len(p.settling) > 0 {
		p.warn("the name servers don't have the same at " + strings.Join(p.settling, ", ") + " yet")
	}
	if len(p.unsure) > 0 {
		p.warn("DNS doesn't tell what is published now at " + strings.Join(p.unsure, ", ") + ": left alone")
	}
	return nil
}

// find reports whether a record may have to be written, and keeps what is to be told
// about it.
func (p *publishing) find(ctx context.Context, r advise.Record) bool {
	if r.State == advise.Faulty || r.Fault != "" {
		p.Faulty = append(p.Faulty, r)
	}
	switch {
	case r.State == advise.AsItIs, r.State == advise.Faulty:
		return false
	case r.State == advise.Unsure:
		p.unsure = append(p.unsure, r.Name)
		return false
	case slices.Contains(r.Codes, "dkim-revoked"):
		p.ByHand = append(p.ByHand, r)
		p.warn(r.Name + ": its key is revoked in DNS (p= is empty), and a revoked key isn't published again from here. " +
			"If keys rotate replaced it, start the gateway, which knows, or name the new key in the configuration; otherwise make another: " + p.command("keys", "generate", p.Domain))
		return false
	case r.Type != "TXT" || r.Zone == "" || !p.ours(r.Zone):
		p.ByHand = append(p.ByHand, r)
		return false
	case p.disagree(ctx, r.Name):
		p.settling = append(p.settling, r.Name)
		return r.Check == preflight.DKIM // the others were made of old and new ones together
	}
	return true
}

// planName plans what is wanted of one name. What the host can't have there is left to
// be entered by hand, and keeps no other name from being written.
func (p *publishing) planName(ctx context.Context, records []advise.Record) error {
	zone := records[0].Zone
	var wants []publish.Want
	for _, r := range records {
		wants = append(wants, publish.Want{
			Name: r.Name, Type: r.Type, Value: r.Value, Replaces: r.Replaces, TTL: time.Duration(r.TTL) * time.Second,
		})
	}
	changes, err := p.host.Plan(ctx, zone, wants)
	if errors.Is(err, publish.ErrCannot) || errors.Is(err, publish.ErrChanged) || errors.Is(err, publish.ErrZone) {
		p.ByHand = append(p.ByHand, records...)
		p.warn(err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	p.doubt(zone, changes)
	if changes.Empty() {
		return nil
	}
	i := slices.IndexFunc(p.Zones, func(c publish.Changes) bool { return c.Zone == changes.Zone })
	if i < 0 {
		p.Zones = append(p.Zones, changes)
		return nil
	}
	p.Zones[i].Sets = append(p.Zones[i].Sets, changes.Sets...)
	return nil
}

// warn keeps a warning, once.
func (p *publishing) warn(text string) {
	if !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// remains is the error with the exit code for what isn't as it should be even when all
// that the publisher could write is written; nil where that is nothing.
func (p *publishing) remains() error {
	written := func(name string) bool {
		return slices.ContainsFunc(p.Zones, func(z publish.Changes) bool {
			return slices.ContainsFunc(z.Sets, func(c publish.Change) bool { return c.Name == name })
		})
	}
	switch {
	case len(p.ByHand)+len(p.Faulty) > 0:
		return coded(exitFail, nil)
	case len(p.unsure) > 0, slices.ContainsFunc(p.settling, func(name string) bool { return !written(name) }):
		return coded(exitUnknown, nil)
	}
	return nil
}

// disagree reports whether a name's servers gave different answers, as they do while a
// change is on its way to them.
func (p *publishing) disagree(ctx context.Context, name string) bool {
	return p.wanted.view.resolver.Published(ctx, name, "TXT").Disagree
}

// ours reports whether a zone is one that the domain's records are in, and not that of
// its HELO name elsewhere.
func (p *publishing) ours(zone string) bool {
	domain := "." + p.Domain
	return strings.HasSuffix(domain, "."+zone) || strings.HasSuffix("."+zone, domain) ||
		slices.ContainsFunc(p.wanted.site.cfg.Domains, func(d config.Domain) bool {
			return d.Publisher == p.Publisher && strings.HasSuffix("."+string(d.Signer()), "."+zone)
		})
}

// doubt warns where the host doesn't seem to be the one the world asks.
func (p *publishing) doubt(zone string, changes publish.Changes) {
	is, title := p.wanted.HostOf(zone)
	if can := hostsOf(p.provider); title != "" && !slices.Contains(can, is) {
		p.warn(fmt.Sprintf("the name servers of %s are %s's, and publisher %q writes by %s: the world may never see it", zone, title, p.Publisher, p.provider))
	}
	for _, c := range changes.Sets {
		if slices.Contains(p.settling, c.Name) {
			continue
		}
		for _, text := range c.Missing {
			p.warn(fmt.Sprintf("%s: DNS shows %q, which publisher %q doesn't have: is it the host that the world asks?", c.Name, plain(text, 60), p.Publisher))
		}
	}
}
