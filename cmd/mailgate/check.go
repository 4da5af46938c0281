package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/mail"
)

// checkFlags are what `check` is told beside the domains.
type checkFlags struct {
	selectors []string
	ips       []string
	mailFrom  string
	to        string
	file      string // of domains, "-": standard input
	all       bool   // the configured domains
	at        string // the one server that is asked
	as        string // DNS host in whose form records are printed
	wait      time.Duration
	summary   bool // of several domains, without the details
	evidence  bool // of what is well, too
}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [DOMAIN]...",
		Short: "Would mail from a domain be refused, with what it publishes now?",
		Long: `Ask DNS what the receivers will ask, predict their answer, and show the records
to publish. Works without the daemon and without a configuration. With one that has
keys for the domain, the published keys are compared with these; without one, name
the selectors.

Several domains (as arguments, in a --file, or --all that are configured) give a
line each, worst first, and then the details of those that aren't well. Ctrl-C
stops and shows what is done so far.

--wait tests again and again, with DNS asked afresh, until all is well or the time
is over; only then the result is shown. --at asks one server and nobody else: the new
DNS host before the domain is delegated to it, or the panel's own.

As JSON one DOMAIN gives an object; several, --file and --all give an array, in the
order asked.

Exit code: 0 all is well, 1 something fails, 2 DNS gave no answer or something
needed is not known; of several domains the worst, and 1 is worse than 2. 78 where a
configured key of a domain is missing or broken: the rest is checked all the same.`,
		Example: `  mailgate check example.com --selector mail --ip 203.0.113.9 --ip 2001:db8::9
  mailgate check example.com --to partner.example
  mailgate check example.com --wait 10m && mailgate quarantine recheck --domain example.com
  mailgate check example.com --at ns1.newhost.example --as route53
  mailgate check --all --summary
  mailgate check --file domains.txt --format json`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.check(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.selectors, "selector", nil, "DKIM `SELECTOR` to look at, repeatable (default: the configured keys')")
	flags.StringArrayVar(&f.ips, "ip", nil, "public `ADDRESS` mail leaves from, repeatable (default: the configured egress)")
	flags.StringVar(&f.mailFrom, "mail-from", "", "`DOMAIN` of MAIL FROM (default: the domain itself)")
	flags.StringVar(&f.to, "to", "", "predict for mail to this `DOMAIN` only (default: all big providers)")
	flags.StringVar(&f.file, "file", "", "check the domains in `FILE`, one a line, # for comments; - is standard input")
	flags.BoolVar(&f.all, "all", false, "check all configured domains; of \"*.example.com\", example.com")
	flags.StringVar(&f.at, "at", "", "ask this `SERVER` only: a name, an address, or address:port")
	flags.StringVar(&f.as, "as", "", "show records in the form of this `HOST`: "+hostWords(", ")+" (default: told from the name servers)")
	flags.DurationVar(&f.wait, "wait", 0, "test again until all is well, for at most this `TIME`, such as 10m")
	flags.BoolVar(&f.summary, "summary", false, "of several domains, only the line of each")
	flags.BoolVar(&f.evidence, "evidence", false, "what every name server said, also of what is well")
	return cmd
}

// hostWords lists the DNS hosts that --as takes.
func hostWords(separator string) string {
	var words []string
	for _, h := range advise.Hosts() {
		words = append(words, string(h))
	}
	return strings.Join(words, separator)
}

// maxWait bounds --wait.
const maxWait = 24 * time.Hour

func (a *app) check(cmd *cobra.Command, args []string, f checkFlags) error {
	site, err := a.checkSite()
	if saysAll := len(f.selectors) > 0 && len(f.ips) > 0 && !f.all; err != nil && saysAll && !errors.Is(err, fs.ErrNotExist) {
		site, err = a.siteAside(err)
	}
	if err != nil {
		return err
	}
	r := &checkRun{site: site, flags: f, dnsTime: a.timeForDNS(), json: a.json(), progress: newProgress(cmd.ErrOrStderr(), a.json())}
	if err := r.plan(args, cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	if r.view, err = a.checkView(ctx, site, f.at); err != nil {
		return err
	}
	defer r.view.resolver.Close()
	r.look = r.one
	results, stopped := r.run(ctx)
	if err := r.print(cmd, results); err != nil {
		return err
	}
	return r.ended(cmd, results, stopped)
}

// plan reads the arguments.
func (r *checkRun) plan(args []string, cmd *cobra.Command) (err error) {
	f := r.flags
	if r.targets, err = targetsToCheck(args, f, r.site.cfg.Domains, cmd.InOrStdin()); err != nil {
		return err
	}
	r.several = len(r.targets) > 1 || f.file != "" || f.all
	if f.to != "" {
		if r.to, err = mail.ParseDomain(f.to); err != nil {
			return usageError(fmt.Errorf("--to: %w", err))
		}
	}
	if f.as != "" {
		if r.host, err = advise.ParseHost(f.as); err != nil {
			return usageError(fmt.Errorf("--as: %w", err))
		}
	}
	if given := cmd.Flags().Changed; given("wait") && f.wait <= 0 || f.wait > maxWait {
		return usageError(fmt.Errorf("--wait %s: a time such as 10m, at most %s", f.wait, maxWait))
	} else if given("at") && f.at == "" {
		return usageError(errors.New("--at: empty; a name server is a name, an address, or address:port"))
	}
	for i := range r.targets {
		t := &r.targets[i]
		if t.id, err = r.site.identityOf(*t, f); err != nil {
			return err
		}
		if lacks := lackOf(t.id); f.wait > 0 && len(lacks) > 0 {
			return usageError(fmt.Errorf("--wait: nobody can tell when all is well with %s, as %s", t.domain, lacks[0]))
		}
	}
	return nil
}

// checkView is the view of DNS that is asked: with --at that of one server.
func (a *app) checkView(ctx context.Context, s *site, at string) (*view, error) {
	v, err := newView(s.cfg.DNS, a.quietWiring())
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	if at == "" {
		return v, nil
	}
	defer v.resolver.Close()
	return a.viewAt(ctx, v, at)
}

// ended is the exit code: the worst of all domains, or that of an interruption.
func (r *checkRun) ended(cmd *cobra.Command, results []*checked, stopped error) error {
	if stopped != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "mailgate:", stopped)
		return coded(exitInterrupted, nil)
	}
	for _, t := range r.targets {
		if r.site.broken(t) != nil {
			return coded(exitConfig, nil) // a note says why
		}
	}
	worst := exitPass
	for _, c := range results {
		switch {
		case c.Verdict == "fail":
			return coded(exitFail, nil)
		case c.Verdict != "pass":
			worst = exitUnknown
		}
	}
	if worst == exitPass {
		return nil
	}
	return coded(worst, nil)
}

// splitAt reads the server of --at: a name or address, and a port.
func splitAt(at string) (host, port string, err error) {
	host, port = strings.Trim(at, "[]"), "53"
	if h, p, e := net.SplitHostPort(at); e == nil {
		host, port = h, p
	}
	if host == "" {
		return "", "", errors.New("--at: a name server is a name, an address, or address:port")
	}
	return host, port, nil
}
