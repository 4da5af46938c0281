package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// recordsFlags are what `records` and its sub-commands are told beside the domain.
type recordsFlags struct {
	selectors []string
	keyFiles  []string // "FILE", or "SELECTOR=FILE"
	ips       []string
	as        string // DNS host whose form is printed; "": told from the name servers
}

// register adds the flags that say what the records are made of.
func (f *recordsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.selectors, "selector", nil, "DKIM `SELECTOR`, repeatable (default: the configured keys')")
	flags.StringArrayVar(&f.keyFiles, "key", nil, "key `FILE` of the selector, in the order of --selector, repeatable (default: the configured keys)")
	flags.StringArrayVar(&f.ips, "ip", nil, "public `ADDRESS` mail leaves from, repeatable (default: the configured egress)")
}

// wanted is what a domain should publish, and where.
type wanted struct {
	Domain mail.Domain
	Advice advise.Advice // Records have their State and, as far as it is known, their Zone
	Notes  []string
	Report *preflight.Report
	HostOf advise.HostOf           // the DNS host of a record's Zone, as its name servers tell, or as --as says
	Zones  map[string]dnsview.Zone // by apex; of every Record.Zone that is known
	site   *site
	view   *view
}

// Close ends what was opened to ask DNS.
func (w *wanted) Close() { w.view.resolver.Close() }

// wantedRecords finds out what a domain should publish, and what of it is there. It
// prints nothing. Who calls it closes what it returns.
func (a *app) wantedRecords(ctx context.Context, name string, f recordsFlags) (*wanted, error) {
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return nil, usageError(fmt.Errorf("domain %q: %w", name, err))
	}
	var host advise.Host
	if f.as != "" {
		if host, err = advise.ParseHost(f.as); err != nil {
			return nil, usageError(fmt.Errorf("--as: %w", err))
		}
	}
	site, err := a.checkSite()
	if err != nil {
		return nil, err
	}
	if err := site.readKeys(domain, f); err != nil {
		return nil, err
	}
	id, err := site.identity(domain, checkFlags{selectors: f.selectors, ips: f.ips})
	if err != nil {
		return nil, err
	}
	view, err := newView(site.cfg.DNS, wiring{log: slog.New(slog.DiscardHandler), authorityPort: a.authorityPort})
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	w := &wanted{Domain: domain, site: site, view: view}
	w.look(ctx, id)
	if host != "" {
		w.HostOf = advise.Always(host, "")
	}
	w.Notes = site.notes
	return w, nil
}

// readKeys puts the keys of --key in place of the configured ones.
func (s *site) readKeys(domain mail.Domain, f recordsFlags) error {
	if len(f.keyFiles) == 0 {
		return nil
	}
	if len(f.keyFiles) != len(f.selectors) {
		return usageError(fmt.Errorf("--key is given %d times and --selector %d times: every key file needs its selector", len(f.keyFiles), len(f.selectors)))
	}
	given := sign.DomainKeys{Pattern: string(domain)}
	for i, file := range f.keyFiles {
		signer, warnings, err := sign.LoadKey(file)
		if err != nil {
			return coded(configCode(err), fmt.Errorf("--key: %w", err))
		}
		for _, w := range warnings {
			s.notes = append(s.notes, w)
		}
		given.Keys = append(given.Keys, sign.Key{Selector: f.selectors[i], Signer: signer, Warnings: warnings})
	}
	ring, err := sign.NewKeyring([]sign.DomainKeys{given})
	if err != nil {
		return usageError(fmt.Errorf("--key: %w", err))
	}
	s.keys = ring
	return nil
}

// look asks DNS, for at most checkTime.
func (w *wanted) look(ctx context.Context, id preflight.Identity) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	w.Report = w.view.checker.Check(ctx, id)
	dns := w.view.resolver
	want := advise.Want{All: true}
	names := []string{string(id.From), "_dmarc." + string(id.From)}
	for _, k := range w.site.keys.For(id.From) {
		want.Keys = append(want.Keys, advise.Key{Domain: string(k.Domain), Selector: k.Selector, Record: k.Record()})
		names = append(names, k.Name())
	}
	if id.Helo != "" {
		names = append(names, string(id.Helo))
	}
	w.Zones = zonesOver(ctx, dns, names)
	for apex := range w.Zones {
		want.Zones = append(want.Zones, apex)
	}
	w.Advice = advise.For(w.Report, want)
	w.HostOf = func(apex string) (advise.Host, string) { return advise.DetectHost(w.Zones[apex].NameServers) }
}

// zonesOver finds the zones that hold names, by their apexes: _domainkey.example.com
// may be delegated elsewhere than example.com.
func zonesOver(ctx context.Context, dns zoneFinder, names []string) map[string]dnsview.Zone {
	zones := map[string]dnsview.Zone{}
	for _, name := range names {
		if zone := dns.ZoneOf(ctx, name); zone.Apex != "" && strings.Contains(zone.Apex, ".") {
			zones[zone.Apex] = zone
		}
	}
	return zones
}

func (a *app) recordsCommand() *cobra.Command {
	var f recordsFlags
	cmd := &cobra.Command{
		Use:   "records DOMAIN",
		Short: "All the records a domain should publish",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.records(cmd, args[0], f) },
	}
	f.register(cmd)
	var words []string
	for _, h := range advise.Hosts() {
		words = append(words, string(h))
	}
	cmd.Flags().StringVar(&f.as, "as", "", "`FORM` to print: "+strings.Join(words, ", ")+" (default: told from the name servers)")
	return cmd
}

func (a *app) records(cmd *cobra.Command, name string, f recordsFlags) error {
	w, err := a.wantedRecords(cmd.Context(), name, f)
	if err != nil {
		return err
	}
	defer w.Close()
	if a.json() {
		return printJSON(cmd, w.Advice)
	}
	return advise.Write(cmd.OutOrStdout(), w.Advice, w.HostOf)
}
