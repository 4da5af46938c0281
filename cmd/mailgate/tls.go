package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/web"
)

func (a *app) tlsCommand() *cobra.Command {
	return group("tls", "See, probe and override how connections to a destination are secured",
		a.tlsPolicyCommand(), a.tlsProbeCommand(), a.tlsOverrideCommand())
}

func (a *app) tlsPolicyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "policy DESTINATION",
		Short: "Show the TLS policy of a destination, and where it comes from",
		Long: `Show how mail to a destination is secured: by an override, by what its domain demands
with DANE or MTA-STS, or by default: TLS where the server offers it. A destination is a
recipient domain, or a next hop such as [smtp.example.net]:587; of patterns as
.example.net and mx:*.google.com see "mailgate tls override list". It is the policy
without the relay's [[route]], whose tls can demand more.

Exit code: 0 shown, 2 it can't be told now and mail waits, 64 that is no destination,
69 no gateway answers.`,
		Example: "  mailgate tls policy gmail.com\n  mailgate tls policy '[smtp.example.net]:587'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var p web.TLSPolicy
			if err := c.get(cmd.Context(), "/v1/tls/policy", url.Values{"destination": args}, &p); err != nil {
				return err
			}
			if a.json() {
				if err := printJSON(cmd, p); err != nil {
					return err
				}
			} else {
				showTLSPolicy(cmd.OutOrStdout(), p, time.Now())
			}
			if p.InForce.Level == 0 {
				return coded(exitUnknown, nil)
			}
			return nil
		},
	}
}

func showTLSPolicy(out io.Writer, p web.TLSPolicy, now time.Time) {
	if p.InForce.Level != 0 {
		fmt.Fprintln(out, plain(p.InForce.Describe(now), 0))
	}
	if p.Problem != "" {
		fmt.Fprintf(out, "%s %s\n", tick(false), plain(p.Problem, 0))
	}
	overridden := p.InForce.Destination != ""
	if overridden && p.Demanded.Level != 0 {
		fmt.Fprintf(out, "without the override: %s\n", plain(p.Demanded.Describe(now), 0))
	}
	if p.Probe != nil {
		fmt.Fprintf(out, "probe %s ago: %s\n", age(now.Sub(p.Probe.At)), plain(p.Probe.Answer, 0))
		if overridden && p.Probe.Works {
			fmt.Fprintln(out, "Remove it: "+removal(p))
		}
	}
	if s := p.STS; s != nil && s.Error != "" {
		fmt.Fprintf(out, "MTA-STS: the last check failed: %s\n", plain(s.Error, 0))
	}
	for _, h := range p.Hosts {
		fmt.Fprintf(out, "  %s  %s\n", plain(h.Host, 0), plain(hostPolicy(h, now), 0))
	}
	if p.Postfix != "" {
		fmt.Fprintf(out, "Postfix is told: %s\n", plain(p.Postfix, 0))
	}
}

// removal says how the override in force is removed.
func removal(p web.TLSPolicy) string {
	if p.RunTime {
		return fmt.Sprintf("mailgate tls override %s --remove", shellWord(plain(p.InForce.Destination, 0)))
	}
	return "take its [[tls]] out of the configuration, and reload"
}

func hostPolicy(h web.TLSHost, now time.Time) string {
	var words []string
	switch {
	case h.Problem != "":
		words = append(words, h.Problem)
	case !h.Allowed:
		words = append(words, "not used: the MTA-STS policy doesn't name it")
	default:
		words = append(words, h.InForce.Describe(now))
	}
	if l := h.Learned; l != nil {
		words = append(words, fmt.Sprintf("learned, for %s more: %s", age(l.Until.Sub(now)), l.Why))
	}
	return strings.Join(words, "; ")
}

func tick(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}
