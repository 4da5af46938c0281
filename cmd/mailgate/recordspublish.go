package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/publish"
)

// publishFlags are what `records publish` is told beside the domain.
type publishFlags struct {
	records recordsFlags
	yes     bool
	dryRun  bool
	wait    time.Duration
}

func (a *app) recordsPublishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish DOMAIN",
		Short: "Write a domain's missing records at its DNS host",
		Long: `Show what has to change at the DNS host so that DOMAIN publishes what it should,
ask, write it by the host's interface, and wait until every authoritative name
server has it. Nothing else in the zone is touched, and other TXT records at the
same name stay.

The domain needs a publisher in the configuration: the account at the DNS host. See
docs/publishing.md. Without one, "mailgate records DOMAIN" shows what to enter by
hand.

Exit code: 0 every name server has the records, or there was nothing to do; 1 the
host can't have a record, somebody else changed it meanwhile, what is left is to be
entered by hand, or you said no; 2 the time to wait ended, or DNS didn't tell what
is published; 69 the host can't be reached; 77 it refuses the login.`,
		Example: `  mailgate records publish example.com --dry-run
  mailgate records publish example.com
  mailgate records publish example.com --yes --wait 30m && mailgate check example.com`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.publishRecords(cmd, args[0], f) },
	}
	f.records.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.yes, "yes", false, "don't ask")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show the difference")
	flags.DurationVar(&f.wait, "wait", 10*time.Minute, "how long to wait for the name servers; 0: not at all")
	return cmd
}

// publishing is one run of `records publish`, and what it shows as JSON.
type publishing struct {
	Domain    string            `json:"domain"`
	Publisher string            `json:"publisher"`
	Zones     []publish.Changes `json:"zones"`
	ByHand    []advise.Record   `json:"by_hand"` // what no publisher writes
	Warnings  []string          `json:"warnings"`
	Written   bool              `json:"written"`
	Complete  bool              `json:"complete"` // every name server has all of it
	Servers   []publish.Seen    `json:"servers"`

	wanted   *wanted
	host     *publish.Host
	provider config.Provider
	unsure   []string // names DNS didn't tell about
	settling []string // names the name servers disagree about
}

func (a *app) publishRecords(cmd *cobra.Command, name string, f publishFlags) error {
	if f.wait < 0 {
		return usageError(fmt.Errorf("--wait %s: a time below 0", f.wait))
	}
	w, err := a.wantedRecords(cmd.Context(), name, f.records)
	if err != nil {
		return err
	}
	defer w.Close()
	p, err := newPublishing(w)
	if err != nil {
		return err
	}
	if err := p.plan(cmd.Context()); err != nil {
		return publishFault(err)
	}
	err = p.run(cmd, a, f)
	if a.json() && (err == nil || err.Error() == "") {
		if err := printJSON(cmd, p); err != nil {
			return err
		}
	}
	return err
}

// newPublishing opens the domain's publisher.
func newPublishing(w *wanted) (*publishing, error) {
	d, ok := configured(w.site.cfg, w.Domain)
	if !ok || d.Publisher == "" {
		return nil, coded(exitConfig, errors.New(withoutPublisher(w)))
	}
	host, err := publisherFor(w.site.cfg, d)
	if err != nil {
		return nil, coded(configCode(err), err)
	}
	p := &publishing{
		Domain: string(w.Domain), Publisher: d.Publisher, wanted: w, host: host,
		Zones: []publish.Changes{}, ByHand: []advise.Record{}, Warnings: []string{}, Servers: []publish.Seen{},
	}
	for _, account := range w.site.cfg.Publishers {
		if account.Name == d.Publisher {
			p.provider = account.Provider
		}
	}
	return p, nil
}

// configured is the [[domain]] that holds for a domain: itself, or else the closest
// pattern over it.
func configured(cfg *config.Config, name mail.Domain) (config.Domain, bool) {
	var best config.Domain
	found := false
	for _, d := range cfg.Domains {
		below := strings.HasSuffix(string(name), "."+string(d.Name)) && (d.Wildcard || d.SubDomains)
		if d.Name == name && !d.Wildcard {
			return d, true
		}
		if below && (!found || len(d.Name) > len(best.Name)) {
			best, found = d, true
		}
	}
	return best, found
}

// plan asks the host what would change, zone by zone. Nothing is written.
func (p *publishing) plan(ctx context.Context) error {
	wants, zones := map[string][]publish.Want{}, []string{}
	for _, r := range p.wanted.Advice.Records {
		switch {
		case r.State == advise.AsItIs:
			continue
		case r.State == advise.Unsure:
			p.unsure = append(p.unsure, r.Name)
			continue
		case r.Type != "TXT" || r.Zone == "" || !p.ours(r.Zone):
			p.ByHand = append(p.ByHand, r)
			continue
		case p.disagree(ctx, r.Name):
			p.settling = append(p.settling, r.Name)
			if r.Check != preflight.DKIM { // it was made of old and new ones together
				continue
			}
		}
		if _, known := wants[r.Zone]; !known {
			zones = append(zones, r.Zone)
		}
		wants[r.Zone] = append(wants[r.Zone], publish.Want{
			Name: r.Name, Type: r.Type, Value: r.Value, Replaces: r.Replaces, TTL: time.Duration(r.TTL) * time.Second,
		})
	}
	for _, zone := range zones {
		changes, err := p.host.Plan(ctx, zone, wants[zone])
		if err != nil {
			return err
		}
		if !changes.Empty() {
			p.Zones = append(p.Zones, changes)
		}
		p.doubt(zone, changes)
	}
	if len(p.settling) > 0 {
		p.Warnings = append(p.Warnings, "the name servers don't have the same at "+strings.Join(p.settling, ", ")+" yet")
	}
	if len(p.unsure) > 0 {
		p.Warnings = append(p.Warnings, "DNS doesn't tell what is published now at "+strings.Join(p.unsure, ", ")+": left alone")
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
		p.Warnings = append(p.Warnings, fmt.Sprintf("the name servers of %s are %s's, and publisher %q writes by %s: the world may never see it", zone, title, p.Publisher, p.provider))
	}
	for _, c := range changes.Sets {
		if slices.Contains(p.settling, c.Name) {
			continue
		}
		for _, text := range c.Missing {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s: DNS shows %q, which publisher %q doesn't have: is it the host that the world asks?", c.Name, plain(text, 60), p.Publisher))
		}
	}
}

// publishFault gives an error of the host its exit code.
func publishFault(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return coded(exitInterrupted, err)
	case errors.Is(err, publish.ErrLogin):
		return coded(exitNoPerm, err)
	case errors.Is(err, publish.ErrChanged), errors.Is(err, publish.ErrZone), errors.Is(err, publish.ErrCannot):
		return coded(exitFail, err)
	}
	return coded(exitUnavailable, err)
}
