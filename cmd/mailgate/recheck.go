package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
	"mailgate/internal/web"
)

func (a *app) recheckCommand() *cobra.Command {
	var order web.RecheckOrder
	cmd := &cobra.Command{
		Use:   "recheck [ID…|ALL]",
		Short: "Ask DNS again now, and release what would pass",
		Long: `Ask DNS again at once, without waiting for the next re-check, and release what would
pass now, the oldest first and no faster than hold.release_rate allows; what has no
room yet follows by itself. With auto_release off only the verdicts are brought up
to date.

Without an argument, or with ALL, everything that is held is checked; with ids what
is held from the same domains as those messages; with --domain what is held from that
domain. Exit code: 0 when the check was made, whatever it found.`,
		Example: `  mailgate quarantine recheck
  mailgate quarantine recheck --domain example.com
  mailgate quarantine recheck q7f3a m2bcd --format json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("domain") && strings.TrimSpace(order.Domain) == "" {
				return usageError(errors.New("--domain is empty: leave it out to mean all"))
			}
			if len(args) == 1 && args[0] == guardWord {
				return a.recheck(cmd, order)
			}
			if len(args) > 0 && order.Domain != "" {
				return usageError(errors.New("give ids or --domain, not both"))
			}
			for _, arg := range args {
				if strings.EqualFold(arg, guardWord) {
					return usageError(fmt.Errorf("%q is no id; to mean everything, write %s alone", arg, guardWord))
				}
			}
			order.IDs = args
			return a.recheck(cmd, order)
		},
	}
	cmd.Flags().StringVar(&order.Domain, "domain", "", "only what is held from this From `DOMAIN`")
	return cmd
}

func (a *app) recheck(cmd *cobra.Command, order web.RecheckOrder) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	p := newProgress(cmd.ErrOrStderr(), a.json())
	var result *quarantine.Rechecked
	err = lines(cmd.Context(), c, "/v1/recheck", order, func(line web.RecheckLine) error {
		if line.Problem != nil {
			return coded(exitSoftware, &refusal{problem: *line.Problem})
		}
		if line.Progress != nil {
			p.say(func() string { return recheckLine(*line.Progress) })
		}
		result = line.Result
		return nil
	})
	p.clear()
	if err != nil {
		return err
	}
	if result == nil {
		return coded(exitSoftware, errors.New("the gateway broke off the re-check; see its log"))
	}
	if a.json() {
		return printJSON(cmd, result)
	}
	printRechecked(cmd.OutOrStdout(), *result)
	return nil
}

func recheckLine(r quarantine.Rechecked) string {
	return fmt.Sprintf("checked %s of %s sender domains: %s would pass, %s released",
		thousands(r.Done), thousands(r.Identities), thousands(r.Passing), thousands(r.Released))
}

func printRechecked(out io.Writer, r quarantine.Rechecked) {
	if r.ByHand > 0 {
		fmt.Fprintf(out, "%s held by hand: not checked, a reviewer lets them go\n", count(r.ByHand, "recipient is", "recipients are"))
	}
	if r.Recipients == 0 && r.ByHand > 0 {
		return
	}
	if r.Recipients == 0 {
		fmt.Fprintln(out, "nothing is held there")
		return
	}
	fmt.Fprintf(out, "%s checked: %s would pass, %s would be refused, %s waiting for DNS",
		count(r.Recipients, "held recipient", "held recipients"), thousands(r.Passing), thousands(r.Refused), thousands(r.Waiting))
	if r.Foreign > 0 {
		fmt.Fprintf(out, ", %s without a key here", thousands(r.Foreign))
	}
	fmt.Fprintln(out)
	passing := r.Passing - r.Released - r.Failed
	for _, line := range []struct {
		n    int
		what string
	}{
		{r.Released, "released now"}, {r.Failed, "not taken by the next server, tried again later"},
		{passing, passingStay(passing, r.AutoRelease)},
	} {
		if line.n > 0 {
			fmt.Fprintln(out, thousands(line.n), line.what)
		}
	}
}

// passingStay says what becomes of those that would pass and are still held.
func passingStay(n int, autoRelease bool) string {
	if autoRelease {
		return "would pass, and leave by themselves as hold.release_rate allows"
	}
	return "would pass and " + stay(n) + ` held, as hold.auto_release is off; send them: mailgate quarantine release ALL --reason "…"`
}
