package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// checkFlags are what `check` is told beside the domain.
type checkFlags struct {
	selectors []string
	ips       []string
	mailFrom  string
	to        string
}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check DOMAIN",
		Short: "Would mail from a domain be refused, with what it publishes now?",
		Long: `Ask DNS what the receivers will ask, and predict their answer. Works without the
daemon. With a configuration that has keys for the domain, the published keys are
compared with these; without one, name the selectors.

Exit code: 0 all is well, 1 something fails, 2 DNS gave no answer or something
needed is not known.`,
		Example: `  mailgate check example.com --selector mail --ip 203.0.113.9 --ip 2001:db8::9
  mailgate check example.com --to partner.example
  mailgate check example.com --format json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.check(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.selectors, "selector", nil, "DKIM `SELECTOR` to look at, repeatable (default: the configured keys')")
	flags.StringArrayVar(&f.ips, "ip", nil, "public `ADDRESS` mail leaves from, repeatable (default: the configured egress)")
	flags.StringVar(&f.mailFrom, "mail-from", "", "`DOMAIN` of MAIL FROM (default: the domain itself)")
	flags.StringVar(&f.to, "to", "", "predict for mail to this `DOMAIN` only (default: all big providers)")
	return cmd
}

// checked is what `check` shows.
type checked struct {
	Domain      string                 `json:"domain"`
	Verdict     string                 `json:"verdict"` // pass, fail or unknown
	Notes       []string               `json:"notes,omitempty"`
	Report      *preflight.Report      `json:"report"`
	Predictions []preflight.Prediction `json:"predictions"`
	Advice      advise.Advice          `json:"advice"`
	hostOf      advise.HostOf
}

func (a *app) check(cmd *cobra.Command, name string, f checkFlags) error {
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return usageError(fmt.Errorf("domain %q: %w", name, err))
	}
	site, err := a.checkSite()
	if err != nil {
		return err
	}
	id, err := site.identity(domain, f)
	if err != nil {
		return err
	}
	var to mail.Domain
	if f.to != "" {
		if to, err = mail.ParseDomain(f.to); err != nil {
			return usageError(fmt.Errorf("--to %q: %w", f.to, err))
		}
	}
	view, err := newView(site.cfg.DNS, wiring{log: slog.New(slog.DiscardHandler), authorityPort: a.authorityPort})
	if err != nil {
		return coded(exitConfig, err)
	}
	defer view.resolver.Close()
	c := site.run(cmd.Context(), view, id, to)
	if a.json() {
		if err := printJSON(cmd, c); err != nil {
			return err
		}
	} else if err := printCheck(cmd.OutOrStdout(), c); err != nil {
		return err
	}
	switch c.Verdict {
	case "pass":
		return nil
	case "fail":
		return coded(exitFail, nil)
	}
	return coded(exitUnknown, nil)
}

// site is what is known of this site: from the configuration, if there is one.
type site struct {
	cfg        *config.Config
	keys       *sign.Keyring // empty when the keys can't be read
	unreadable bool          // the keys
	notes      []string
}

// checkSite reads the configuration. The default one may be missing, and keys one
// may not read are a note only: check is for everybody.
func (a *app) checkSite() (*site, error) {
	none, err := sign.NewKeyring(nil)
	if err != nil {
		return nil, err
	}
	s := &site{keys: none}
	if s.cfg, err = a.configOrDefault(); err != nil {
		return nil, err
	}
	notes := &noteHandler{}
	keys, err := loadKeys(s.cfg, notes.logger())
	switch {
	case errors.Is(err, os.ErrPermission):
		s.unreadable = true
		s.notes = append(s.notes, "the signing keys can't be read, so published keys are not compared with them: run this as root")
	case err != nil:
		return nil, coded(exitConfig, err)
	default:
		s.keys = keys
	}
	return s, nil
}

func (s *site) identity(domain mail.Domain, f checkFlags) (preflight.Identity, error) {
	id := preflight.Identity{From: domain, MailFrom: domain, Helo: s.cfg.Hostname, Egress: s.cfg.Egress}
	if f.mailFrom != "" {
		d, err := mail.ParseDomain(f.mailFrom)
		if err != nil {
			return id, usageError(fmt.Errorf("--mail-from %q: %w", f.mailFrom, err))
		}
		id.MailFrom = d
	}
	if len(f.ips) > 0 {
		id.Egress = nil
	}
	for _, ip := range f.ips {
		address, err := netip.ParseAddr(ip)
		if err != nil || address.Zone() != "" {
			return id, usageError(fmt.Errorf("--ip %q is no IP address", ip))
		}
		id.Egress = append(id.Egress, address.Unmap())
	}
	if len(id.Egress) == 0 {
		s.notes = append(s.notes, "no egress address is known, so SPF can't be predicted: give --ip, or a configuration with egress")
	}
	return id, s.addKeys(&id, f.selectors)
}

// addKeys puts in the keys to look for: the configured ones, or bare selectors.
func (s *site) addKeys(id *preflight.Identity, selectors []string) error {
	for _, k := range s.keys.For(id.From) {
		if len(selectors) == 0 || slices.Contains(selectors, k.Selector) {
			id.Keys = append(id.Keys, preflight.Key{Domain: k.Domain, Selector: k.Selector, Public: k.Signer.Public()})
		}
	}
	if s.unreadable && len(selectors) == 0 {
		selectors = s.selectors(id.From)
	}
	for _, selector := range selectors {
		if err := sign.CheckSelector(selector); err != nil {
			return usageError(fmt.Errorf("--selector %q: %w", selector, err))
		}
		known := slices.ContainsFunc(id.Keys, func(k preflight.Key) bool { return k.Selector == selector })
		if !known {
			id.Keys = append(id.Keys, preflight.Key{Domain: id.From, Selector: selector})
		}
	}
	if len(id.Keys) == 0 {
		s.notes = append(s.notes, "no selector is known, so DKIM was not checked: give --selector, or a configuration with keys for the domain")
	}
	return nil
}

// selectors are the configured ones of a domain whose keys can't be read.
func (s *site) selectors(d mail.Domain) []string {
	var list []string
	for _, configured := range s.cfg.Domains {
		if configured.Name != d {
			continue
		}
		for _, k := range configured.Keys {
			list = append(list, k.Selector)
		}
	}
	return list
}

// checkTime bounds what DNS may take.
const checkTime = 5 * time.Second

func (s *site) run(ctx context.Context, v *view, id preflight.Identity, to mail.Domain) *checked {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	providers := []preflight.Provider{preflight.Google, preflight.Microsoft, preflight.Yahoo, preflight.Apple}
	var wg sync.WaitGroup
	if to != "" {
		wg.Go(func() { providers = []preflight.Provider{v.checker.Provider(ctx, to)} })
	}
	report := v.checker.Check(ctx, id)
	wg.Wait()
	c := &checked{Domain: string(id.From), Notes: s.notes, Predictions: []preflight.Prediction{}}
	if len(id.Keys) == 0 {
		report = withoutKeyFinding(report)
	}
	c.Report = report
	for _, p := range providers {
		prediction := preflight.Predict(p, report, preflight.Extra{Bulk: gateConfig(s.cfg).Bulk(id.From)})
		if len(id.Keys) == 0 {
			prediction = leaveDKIMOpen(prediction)
		}
		c.Predictions = append(c.Predictions, prediction)
	}
	c.Advice, c.hostOf = adviceFor(ctx, v.resolver, report, s.keys.For(id.From))
	c.Verdict = verdictOf(c, len(id.Keys) == 0)
	return c
}

// withoutKeyFinding leaves out that no key signs: who checks a domain without
// naming a selector said nothing about that.
func withoutKeyFinding(r *preflight.Report) *preflight.Report {
	shown := *r
	shown.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f preflight.Finding) bool { return f.Code == "dkim-no-key" })
	return &shown
}

// leaveDKIMOpen makes a refusal unknown that a signature might turn.
func leaveDKIMOpen(p preflight.Prediction) preflight.Prediction {
	p.Warnings = nil
	if p.Verdict == preflight.Refuse {
		p.Verdict, p.Reply, p.Codes = preflight.UnknownVerdict, "", nil
		p.Why = "it hangs on DKIM, which was not checked"
	}
	return p
}

// verdictOf is fail when a finding fails or a refusal is predicted, unknown when
// DNS kept silent about something that matters or DKIM could not be looked at.
func verdictOf(c *checked, noKeys bool) string {
	worst := c.Report.Worst()
	open := noKeys || worst == preflight.Unknown
	for _, p := range c.Predictions {
		switch p.Verdict {
		case preflight.Refuse:
			worst = preflight.Fail
		case preflight.UnknownVerdict:
			open = true
		}
	}
	switch {
	case worst == preflight.Fail:
		return "fail"
	case open:
		return "unknown"
	}
	return "pass"
}
