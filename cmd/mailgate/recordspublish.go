package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
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
hand. A record that the host can't have is shown with the reason, and the others are
written.

Exit code: 0 every name server has the records, or there was nothing to do; 1 a
record is left to be entered by hand, one that is published has a fault that no
record mends, somebody else changed one meanwhile, or you said no; 2 the time to
wait ended, or DNS didn't tell what is published; 69 the host can't be reached, or
has a fault; 77 it refuses the login. With --dry-run and --wait 0: 0 where nothing
would be left.`,
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
	ByHand    []advise.Record   `json:"by_hand"` // what the publisher can't write; Warnings say why
	Faulty    []advise.Record   `json:"faulty"`  // what stays at fault, whatever is written
	Steps     []advise.Step     `json:"steps"`   // what to do about them
	Warnings  []string          `json:"warnings"`
	Written   bool              `json:"written"`
	Complete  bool              `json:"complete"` // every name server has all that the domain needs
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
	if w.nowhere() {
		return nil, coded(exitFail, fmt.Errorf("%s doesn't exist in DNS, so there is no zone to write into: is it spelled right?", w.Domain))
	}
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
		Zones: []publish.Changes{}, ByHand: []advise.Record{}, Faulty: []advise.Record{}, Steps: []advise.Step{}, Warnings: []string{}, Servers: []publish.Seen{},
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
