package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

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
	keyFiles  []string // one for each selector
	ips       []string
	reports   string // address for DMARC reports; "": postmaster@ the domain
	as        string // DNS host whose form is printed; "": told from the name servers
}

// register adds the flags that say what the records are made of.
func (f *recordsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.selectors, "selector", nil, "DKIM `SELECTOR`, repeatable (default: the configured keys')")
	flags.StringArrayVar(&f.keyFiles, "key", nil, "key `FILE` of the selector, in the order of --selector, repeatable (default: the configured keys)")
	flags.StringArrayVar(&f.ips, "ip", nil, "public `ADDRESS` mail leaves from, repeatable (default: the configured egress)")
	flags.StringVar(&f.reports, "rua", "", "`ADDRESS` for DMARC reports in a first record (default: postmaster@DOMAIN)")
}

// reportAddress reads --rua: an address that can stand in a DMARC record.
func reportAddress(s string) (string, error) {
	s = strings.TrimPrefix(s, "mailto:")
	if s == "" {
		return "", nil
	}
	if local, domain, found := strings.Cut(s, "@"); found && local != "" && !strings.ContainsAny(s, " ,;!\"\\\t\r\n") {
		if d, err := mail.ParseDomain(domain); err == nil {
			return local + "@" + string(d), nil
		}
	}
	return "", usageError(fmt.Errorf("--rua %q is no mail address such as dmarc@example.com", s))
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
	app    *app
}

// Close ends what was opened to ask DNS.
func (w *wanted) Close() { w.view.resolver.Close() }

// wantedRecords finds out what a domain should publish, and what of it is there. It
// prints nothing. Who calls it closes what it returns.
func (a *app) wantedRecords(ctx context.Context, name string, f recordsFlags) (*wanted, error) {
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return nil, usageError(err)
	}
	var host advise.Host
	if f.as != "" {
		if host, err = advise.ParseHost(f.as); err != nil {
			return nil, usageError(fmt.Errorf("--as: %w", err))
		}
	}
	reports, err := reportAddress(f.reports)
	if err != nil {
		return nil, err
	}
	site, err := a.checkSite()
	if err != nil {
		return nil, err
	}
	warnings, err := site.readKeys(domain, f)
	if err != nil {
		return nil, err
	}
	if err := site.broken(checkTarget{domain: domain}); err != nil {
		return nil, coded(exitConfig, err)
	}
	id, err := site.identity(domain, checkFlags{selectors: f.selectors, ips: f.ips})
	if err != nil {
		return nil, err
	}
	view, err := newView(site.cfg.DNS, a.quietWiring())
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	w := &wanted{Domain: domain, site: site, view: view, app: a}
	w.look(ctx, id, reports)
	if host != "" {
		w.HostOf = advise.Always(host, "")
	}
	w.Notes = recordsNotes(site, id, warnings)
	if w.nowhere() {
		w.Notes = append(w.Notes, fmt.Sprintf("%s doesn't exist in DNS yet: is it spelled right?", domain))
	}
	return w, nil
}

// nowhere reports that there is no zone for the records.
func (w *wanted) nowhere() bool {
	return nonexistent(w.Report, slices.Collect(maps.Keys(w.Zones)))
}

// recordsNotes says what is missing for the records to be complete.
func recordsNotes(s *site, id preflight.Identity, given []string) []string {
	notes := slices.Clone(given)
	t := checkTarget{domain: id.From}
	if s.hidden(t) {
		notes = append(notes, "the signing keys can't be read, so their records can't be told: run this as root")
	} else if len(id.Keys) == 0 {
		notes = append(notes, fmt.Sprintf("no key is known for %s: make one with \"mailgate keys generate %s\", or give --selector S --key FILE", id.From, id.From))
	}
	for _, k := range id.Keys {
		if k.Public == nil && !s.hidden(t) {
			notes = append(notes, fmt.Sprintf("the key of selector %s is not known, so only what is published can be told: give its --key FILE", k.Selector))
		}
	}
	if len(id.Egress) == 0 {
		notes = append(notes, "no egress address is known, so none is added to SPF: give --ip, or a configuration with egress")
	}
	return notes
}

// readKeys puts the keys of --key in place of the configured ones.
func (s *site) readKeys(domain mail.Domain, f recordsFlags) (notes []string, err error) {
	if len(f.keyFiles) == 0 {
		return nil, nil
	}
	if len(f.keyFiles) != len(f.selectors) {
		return nil, usageError(fmt.Errorf("--key is given %d times and --selector %d times: every key file needs its selector", len(f.keyFiles), len(f.selectors)))
	}
	given := sign.DomainKeys{Pattern: string(domain)}
	for i, file := range f.keyFiles {
		signer, warnings, err := loadOthersKey(file)
		if err != nil {
			return nil, coded(configCode(err), fmt.Errorf("--key: %w", err))
		}
		notes = append(notes, warnings...)
		given.Keys = append(given.Keys, sign.Key{Selector: f.selectors[i], Signer: signer, Warnings: warnings})
	}
	ring, err := sign.NewKeyring([]sign.DomainKeys{given})
	if err != nil {
		return nil, usageError(fmt.Errorf("--key: %w", err))
	}
	s.keys, s.faults = ring, nil
	return notes, nil
}

// look asks DNS, for at most timeForDNS. Some of it is kept for reading in whole what
// the report has shortened, which is mostly remembered.
func (w *wanted) look(ctx context.Context, id preflight.Identity, reports string) {
	ctx, cancel := context.WithTimeout(ctx, w.app.timeForDNS())
	defer cancel()
	dns := w.view.resolver
	want := advise.Want{All: true, Keys: w.keys(id), Reports: reports}
	names := []string{string(id.From), "_dmarc." + string(id.From)}
	for _, k := range want.Keys {
		names = append(names, k.Selector+"._domainkey."+k.Domain)
	}
	if id.Helo != "" {
		names = append(names, string(id.Helo))
	}
	first, done := context.WithTimeout(ctx, w.app.timeForDNS()*4/5)
	defer done()
	var wait sync.WaitGroup
	wait.Go(func() { w.Zones = zonesOver(first, dns, names) })
	w.Report = w.view.checker.Recheck(first, id) // Check gives up all when its time is up
	wait.Wait()
	want.Zones = slices.Sorted(maps.Keys(w.Zones))
	want.Now = func(name string) advise.Now { return textsAt(ctx, dns, name, w.Zones) }
	want.TrySPF = func(record string) string { return w.view.checker.TrySPF(ctx, id, record) }
	want.Addresses = func(host string, mx bool) ([]netip.Addr, bool) { return hostAddresses(ctx, dns, host, mx) }
	w.Advice = advise.For(w.Report, want)
	w.HostOf = func(apex string) (advise.Host, string) { return advise.DetectHost(w.Zones[apex].NameServers) }
	w.Advice.Steps = slices.DeleteFunc(w.Advice.Steps, func(s advise.Step) bool { return s.Code == "dkim-no-key" })
}

// keys are those whose records are wanted, and selectors without a key.
func (w *wanted) keys(id preflight.Identity) []advise.Key {
	var keys []advise.Key
	for _, k := range id.Keys {
		key := advise.Key{Domain: string(k.Domain), Selector: k.Selector}
		for _, ours := range w.site.keys.For(id.From) {
			if ours.Domain == k.Domain && ours.Selector == k.Selector {
				key.Record = ours.Record()
			}
		}
		keys = append(keys, key)
	}
	return keys
}

// zonesOver finds the zones that hold names, by their apexes: _domainkey.example.com
// may be delegated elsewhere than example.com.
func zonesOver(ctx context.Context, dns zoneFinder, names []string) map[string]dnsview.Zone {
	found := make([]dnsview.Zone, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { found[i] = dns.ZoneOf(ctx, name) })
	}
	wait.Wait()
	zones := map[string]dnsview.Zone{}
	for _, zone := range found {
		if strings.Contains(zone.Apex, ".") {
			zones[zone.Apex] = zone
		}
	}
	return zones
}

// textsAt is what TXT records a name has: in the domain's own zones as their name
// servers say, elsewhere as resolvers do.
func textsAt(ctx context.Context, dns *dnsview.Resolver, name string, zones map[string]dnsview.Zone) advise.Now {
	ask, own, isApex := dns.Recursive, false, false
	for apex := range zones {
		if name == apex || strings.HasSuffix(name, "."+apex) {
			ask, own, isApex = dns.Published, true, isApex || name == apex
		}
	}
	a := ask(ctx, name, "TXT")
	now := advise.Now{Known: a.Status != dnsview.Unknown, Values: a.Texts()}
	slices.Sort(now.Values) // servers give them in any order
	if n := len(a.CNAMEs); n > 0 {
		now.Alias = a.CNAMEs[0]
	}
	if own && !isApex && (now.Alias != "" || len(now.Values) > 0) {
		now.Wildcard = byWildcard(ctx, ask, a)
	}
	return now
}

// byWildcard reports whether a name nobody has beside an answer's gets the same one.
func byWildcard(ctx context.Context, ask func(ctx context.Context, name, qtype string) dnsview.Answer, a dnsview.Answer) bool {
	_, parent, _ := strings.Cut(a.Name, ".")
	other := ask(ctx, preflight.WildcardProbe+"."+parent, a.Type)
	mine, others := a.Texts(), other.Texts()
	slices.Sort(mine)
	slices.Sort(others)
	return slices.Equal(mine, others) && slices.Equal(a.CNAMEs, other.CNAMEs)
}

// hostAddresses are those of a host, or of the hosts of its MX records; false where
// one isn't known.
func hostAddresses(ctx context.Context, dns *dnsview.Resolver, host string, mx bool) ([]netip.Addr, bool) {
	hosts := []string{host}
	if mx {
		a := dns.Recursive(ctx, host, "MX")
		if a.Status != dnsview.Found {
			return nil, false
		}
		hosts = a.Texts()
	}
	var addresses []netip.Addr
	for _, h := range hosts {
		for _, kind := range []string{"A", "AAAA"} {
			a := dns.Recursive(ctx, h, kind)
			if a.Status == dnsview.Unknown {
				return nil, false
			}
			for _, text := range a.Texts() {
				if address, err := netip.ParseAddr(text); err == nil && !slices.Contains(addresses, address) {
					addresses = append(addresses, address)
				}
			}
		}
	}
	return addresses, true
}
