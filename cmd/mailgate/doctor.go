package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/config"
	"mailgate/internal/doctor"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

func (a *app) doctorCommand() *cobra.Command {
	var postfixConfig string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look over this machine: what keeps mail from being signed, and how to mend it",
		Long: `Look over the machine: the configuration and its keys, whether the gateway runs and
its doors answer, what Postfix does with it (the order of smtpd_milters,
milter_default_action, whether its chroot sees the socket), certificates, the egress
addresses against the default routes, DNS, the clock, the disk and the store. Nothing
is changed. Each fault comes with the command or the line that mends it.

What a domain publishes is another question: mailgate check DOMAIN.
What is in the store is looked over by: mailgate store check.

Run it as root: the keys and Postfix's directories aren't for everybody to see.

Exit code: 0 nothing fails (warnings may be there), 1 something fails, 2 something
could not be looked at.`,
		Example: `  mailgate doctor
  mailgate doctor --config ./mailgate.toml --postfix-config /etc/postfix-out
  mailgate doctor --format json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e := examination{a: a, postfixConfig: postfixConfig, now: time.Now()}
			e.run(cmd.Context())
			if cmd.Context().Err() != nil {
				return coded(exitInterrupted, errors.New("interrupted"))
			}
			return a.printDoctor(cmd, e.results)
		},
	}
	cmd.Flags().StringVar(&postfixConfig, "postfix-config", "", "Postfix's config_directory `DIR` (default: its own)")
	return cmd
}

// examination is one run of the doctor.
type examination struct {
	a             *app
	postfixConfig string
	now           time.Time
	cfg           *config.Config
	uid           int // of the user the gateway runs as; -1: not known
	used          int64
	mta           *doctor.Postfix // nil: it could not be asked, or has nothing to do with us
	mtaFault      error
	results       []doctor.Result
}

func (e *examination) add(results ...doctor.Result) { e.results = append(e.results, results...) }

func (e *examination) run(ctx context.Context) {
	if e.configuration() {
		e.uid = gatewayUser(e.cfg)
		e.keys()
		e.publishers()
		if !e.cfg.Milter.Listen.IsZero() || !e.cfg.Socketmap.Listen.IsZero() {
			e.mta, e.mtaFault = doctor.ReadPostfix(ctx, e.postfixConfig)
		}
		if e.gateway(ctx) {
			e.doors(ctx)
		}
		e.postfix()
		e.certificates()
		e.add(doctor.Egress(e.cfg.Egress, doctor.DefaultRoutes())...)
		e.dns(ctx)
		e.add(doctor.Disk(e.cfg.Store.Path, e.cfg.Hold.MaxBytes, e.used))
		e.store()
	}
	e.add(doctor.Clock(e.now, e.newest()))
}

// configuration reads it; without it there is little to look at.
func (e *examination) configuration() bool {
	const area = "configuration"
	cfg, err := loadConfig(e.a.config)
	if err == nil {
		err = cfg.Unsupported()
	}
	if err != nil {
		r := doctor.Result{Area: area, Code: "configuration-faulty", Status: doctor.Fail, Text: err.Error(), Mend: []string{"Correct the file, then: mailgate config check"}}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Code, r.Mend = "configuration-missing", []string{"Name it: mailgate doctor --config FILE", "Or make one: mailgate serve --init DIR"}
		case exitCode(err) == exitNoPerm:
			r.Code, r.Status, r.Mend = "configuration-unreadable", doctor.Unknown, []string{"Run this as root."}
		}
		e.add(r)
		return false
	}
	e.cfg = cfg
	e.add(doctor.Result{Area: area, Code: "configuration", Status: doctor.Pass, Text: cfg.Path})
	for _, w := range warnings(cfg) {
		if !strings.HasPrefix(w, "egress: empty") && !strings.HasPrefix(w, "egress: this machine") { // said by egress
			e.add(doctor.Result{Area: area, Code: "configuration-doubtful", Status: doctor.Warn, Text: w})
		}
	}
	return true
}

func (e *examination) doors(ctx context.Context) {
	owner := ""
	if e.mta != nil {
		owner = e.mta.Main["mail_owner"]
	}
	if door := doorOf(e.cfg.Milter.Listen); door.Network != "" {
		e.add(doctor.Reachable(ctx, "milter", door, owner))
	}
	for _, l := range e.cfg.Relay.Listeners {
		e.add(doctor.Reachable(ctx, l.Path, doorOf(l.Listen), ""))
	}
	if door := doorOf(e.cfg.Socketmap.Listen); door.Network != "" {
		e.add(doctor.Reachable(ctx, "socketmap", door, owner))
	}
}

func doorOf(l config.Listen) doctor.Door { return doctor.Door{Network: l.Network, Address: l.Address} }

func (e *examination) postfix() {
	switch err := e.mtaFault; {
	case errors.Is(err, doctor.ErrNoPostfix):
		e.add(doctor.Result{Area: "postfix", Code: "postfix-absent", Status: doctor.Unknown, Text: "postconf is not on this machine",
			Mend: []string{"Where Postfix runs on another machine, compare its main.cf with docs/postfix.md."}})
		return
	case err != nil:
		e.add(doctor.Result{Area: "postfix", Code: "postfix-unreadable", Status: doctor.Unknown, Text: err.Error(), Mend: []string{"Correct Postfix's configuration: postfix check"}})
		return
	}
	if milter := doorOf(e.cfg.Milter.Listen); milter.Network != "" {
		e.add(e.mta.Milters(milter)...)
	}
	if socketmap := doorOf(e.cfg.Socketmap.Listen); socketmap.Network != "" {
		e.add(e.mta.PolicyMap(socketmap, e.cfg.Socketmap.Postfix)...)
	}
}

func (e *examination) certificates() {
	for _, l := range e.cfg.Relay.Listeners {
		if l.TLS != config.TLSOff {
			e.add(doctor.Certificate("["+l.Path+"]", l.Certificate, l.Key, string(e.cfg.Hostname), l.Legacy, e.uid, e.now))
		}
	}
}

// mostDomains are looked up: the doctor is about this machine, not about them.
const mostDomains = 3

func (e *examination) dns(ctx context.Context) {
	view, err := newView(e.cfg.DNS, e.a.quietWiring())
	if err != nil {
		e.add(doctor.Result{Area: "dns", Code: "dns-configuration", Status: doctor.Fail, Text: err.Error(), Mend: []string{"Correct [dns] in mailgate.toml."}})
		return
	}
	defer view.resolver.Close()
	ctx, cancel := context.WithTimeout(ctx, e.a.timeForDNS())
	defer cancel()
	var domains []mail.Domain
	for _, d := range e.cfg.Domains {
		if len(domains) < mostDomains {
			domains = append(domains, d.Name)
		}
	}
	e.add(doctor.DNS(ctx, view.resolver, domains, e.cfg.DNS.Authoritative)...)
	if e.cfg.DNS.Validating {
		r := doctor.Result{Area: "dns", Code: "dns-validating", Status: doctor.Pass, Text: "the resolvers validate DNSSEC"}
		if words := unvalidated(ctx, view.resolver); words != "" {
			r.Code, r.Status, r.Text = "dns-not-validating", doctor.Warn, words
		}
		e.add(r)
	}
}

func (a *app) printDoctor(cmd *cobra.Command, results []doctor.Result) error {
	worst := doctor.Worst(results)
	if a.json() {
		err := printJSON(cmd, struct {
			Verdict doctor.Status   `json:"verdict"`
			Results []doctor.Result `json:"results"`
		}{worst, results})
		if err != nil {
			return err
		}
	} else {
		printResults(cmd.OutOrStdout(), results, worst)
	}
	switch worst {
	case doctor.Fail:
		return coded(exitFail, nil)
	case doctor.Unknown:
		return coded(exitUnknown, nil)
	}
	return nil
}

func printResults(out io.Writer, results []doctor.Result, worst doctor.Status) {
	p := painter(out)
	width := 0
	for _, r := range results {
		width = max(width, cells(r.Area))
	}
	screen := screenWidth(out)
	if screen == 0 {
		screen = 1000
	}
	number := map[doctor.Status]int{}
	for _, r := range results {
		number[r.Status]++
		head := mark(p, preflight.Status(r.Status)) + " " + pad(plain(r.Area, 0), width) + "  "
		indent := strings.Repeat(" ", width+4)
		for i, line := range resultLines(r, max(screen-width-4, 30)) {
			if i > 0 {
				head = indent
			}
			fmt.Fprintln(out, head+line)
		}
	}
	fmt.Fprintln(out)
	switch worst {
	case doctor.Pass:
		fmt.Fprintln(out, p.green("✓")+" nothing to mend")
	default:
		fmt.Fprintf(out, "%d to mend, %s, %d could not be looked at\n", number[doctor.Fail], count(number[doctor.Warn], "warning", "warnings"), number[doctor.Unknown])
	}
}

// resultLines is a result in lines of at most n cells. Commands stay in one piece, to
// be copied.
func resultLines(r doctor.Result, n int) []string {
	var lines []string
	for text := range strings.Lines(r.Text) {
		lines = append(lines, wrap(plain(strings.TrimRight(text, "\n"), 0), n)...)
	}
	for _, m := range r.Mend {
		lines = append(lines, "→ "+plain(m, 0))
	}
	return lines
}
