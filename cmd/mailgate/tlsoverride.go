package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/web"
)

// overrideFlags are an override as the command line says it.
type overrideFlags struct {
	level, minVersion, maxVersion, curves, serverName string
	ciphers, match                                    []string
	reason, expires                                   string
	anyway, remove                                    bool
}

func (a *app) tlsOverrideCommand() *cobra.Command {
	var f overrideFlags
	cmd := &cobra.Command{
		Use:   "override DESTINATION",
		Short: "Override the TLS policy of a destination, for a time and with a reason",
		Long: `Override how connections to a destination are secured. It holds at once, for the relay
and for Postfix, over restarts, and until its end; the review log has who did it and
why. A destination is a recipient domain, .example.net for its sub-domains, a next hop
such as [smtp.example.net]:587, or mx:*.google.com for all MX hosts of that name.

What isn't named stays as DANE, MTA-STS or the default has it. To go below what these
demand needs a reason and an end. Once a day mailgate probes whether the destination
would work without the override; "mailgate tls policy" tells.`,
		Example: `  mailgate tls override gmail.com --level encrypt --max-version 1.2 --reason "gateway 3.9 clashes with TLS 1.3" --expires 30d
  mailgate tls override gmail.com --remove
  mailgate tls override list`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.remove {
				return a.removeOverride(cmd, args[0], f)
			}
			return a.setOverride(cmd, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.level, "level", "", "none, may, encrypt, dane, dane-only, verify or secure, as Postfix has them")
	flags.StringVar(&f.minVersion, "min-version", "", "lowest TLS version: 1.0 to 1.3")
	flags.StringVar(&f.maxVersion, "max-version", "", "highest TLS version")
	flags.StringSliceVar(&f.ciphers, "cipher", nil, "cipher `SUITE` for TLS 1.2 and below, repeatable")
	flags.StringVar(&f.curves, "curves", "", "classic: no post-quantum key share, for middleboxes that choke on a large ClientHello")
	flags.StringVar(&f.serverName, "server-name", "", "`NAME` sent as SNI")
	flags.StringSliceVar(&f.match, "match", nil, "`NAME` the certificate may have, at levels verify and secure, repeatable; .example.net is any under it")
	flags.StringVar(&f.reason, "reason", "", "why; it goes into the review log")
	flags.StringVar(&f.expires, "expires", "", "its end: `30d`, or its last day (UTC) such as 2027-03-31")
	flags.BoolVar(&f.anyway, "anyway", false, "level none even for a receiver that refuses mail without TLS")
	flags.BoolVar(&f.remove, "remove", false, "remove the override")
	cmd.AddCommand(a.tlsListCommand())
	return cmd
}

func (a *app) setOverride(cmd *cobra.Command, destination string, f overrideFlags) error {
	o, err := f.override(destination, time.Now())
	if err != nil {
		return usageError(err)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	var change web.TLSChange
	if err := c.post(cmd.Context(), "/v1/tls/override", web.TLSOrder{Override: o, Anyway: f.anyway}, &change); err != nil {
		return err
	}
	if a.json() {
		return printJSON(cmd, change)
	}
	now := time.Now()
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "before: %s\nnow:    %s\n", plain(change.Before.Describe(now), 0), plain(change.After.Describe(now), 0))
	if o.Expires.IsZero() {
		fmt.Fprintln(out, "It has no end. Give it one with --expires, so that nobody has to remember it.")
	}
	if d, err := mail.ParseDomain(destination); err == nil {
		fmt.Fprintf(out, "What waits is tried when its time has come, or now with: mailgate queue retry %s\n", d)
	}
	return nil
}

func (f overrideFlags) override(destination string, now time.Time) (tlspolicy.Override, error) {
	o := tlspolicy.Override{
		Destination: destination, Ciphers: f.ciphers, Curves: tlspolicy.Curves(f.curves), ServerName: f.serverName, MatchNames: f.match, Reason: f.reason,
	}
	var err [4]error
	err[0] = flagged("--level", o.Level.UnmarshalText([]byte(f.level)))
	err[1] = flagged("--min-version", o.MinVersion.UnmarshalText([]byte(f.minVersion)))
	err[2] = flagged("--max-version", o.MaxVersion.UnmarshalText([]byte(f.maxVersion)))
	o.Expires, err[3] = parseEnd(f.expires, now)
	return o, errors.Join(err[:]...)
}

func flagged(flag string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// parseEnd understands 30d, 12h and a last day, which is whole, and in UTC as that of
// a [[tls]].
func parseEnd(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, ok := parseAge(s); ok && d > 0 {
		return now.Add(d), nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		if end := day.AddDate(0, 0, 1); end.After(now) {
			return end, nil
		}
		return time.Time{}, fmt.Errorf("--expires %s: that day is over", s)
	}
	return time.Time{}, fmt.Errorf("--expires %q: want how long, as 30d, or the last day, as 2027-03-31", s)
}

func (a *app) removeOverride(cmd *cobra.Command, destination string, f overrideFlags) error {
	for _, other := range []string{"level", "min-version", "max-version", "cipher", "curves", "server-name", "match", "expires", "anyway"} {
		if cmd.Flags().Changed(other) {
			return usageError(fmt.Errorf("--remove goes with --reason only, not with --%s", other))
		}
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	order := web.TLSOrder{Override: tlspolicy.Override{Destination: destination}, Reason: f.reason}
	var gone struct {
		Destination string `json:"destination"`
	}
	if err := c.post(cmd.Context(), "/v1/tls/override/remove", order, &gone); err != nil {
		return err
	}
	if a.json() {
		return printJSON(cmd, gone)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "removed: %s is secured as DANE, MTA-STS or the default has it\n", plain(gone.Destination, 0))
	return nil
}

func (a *app) tlsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the overrides in force, and what was learned of handshakes",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var list web.TLSOverrides
			if err := c.get(cmd.Context(), "/v1/tls/overrides", nil, &list); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, list)
			}
			listOverrides(cmd.OutOrStdout(), list, time.Now())
			return nil
		},
	}
}

func listOverrides(out io.Writer, list web.TLSOverrides, now time.Time) {
	if len(list.Overrides) == 0 {
		fmt.Fprintln(out, "no overrides")
	} else {
		g := grid{cut: []int{4, 5}}
		g.add("DESTINATION", "POLICY", "ENDS", "BY", "REASON", "WITHOUT IT")
		for _, o := range list.Overrides {
			g.add(plain(o.Destination, 0), plain(o.String(), 0), ends(o.Expires, now), plain(whose(o.Override), 0),
				plain(o.Reason, 0), plain(withoutIt(o, now), 0))
		}
		g.write(out, screenWidth(out))
	}
	for _, l := range list.Learned {
		fmt.Fprintf(out, "learned of %s, for %s more: %s\n", plain(string(l.Host), 0), age(l.Until.Sub(now)), plain(l.Why, 0))
	}
}

func ends(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return "in " + age(at.Sub(now))
}

func whose(o tlspolicy.Override) string {
	if o.RunTime {
		return o.Actor
	}
	return "configuration"
}

func withoutIt(o web.TLSOverridden, now time.Time) string {
	p := o.Probe
	switch _, err := tlspolicy.ParseNextHop(o.Destination); {
	case err != nil:
		return "a pattern isn't probed"
	case p == nil:
		return "not probed yet"
	case p.Works:
		return fmt.Sprintf("works (%s ago)", age(now.Sub(p.At)))
	}
	return fmt.Sprintf("fails (%s ago): %s", age(now.Sub(p.At)), p.Answer)
}
