package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/spool"
)

const bulkHelp = `
Name messages by their ids, or write ALL, with or without filters, to mean everything
the filters select. ALL works message by message, the oldest first, on what is held
when it begins; --dry-run says what would happen to each and changes nothing (by the
verdicts last found: mailgate quarantine recheck brings them up to date).
Of a message to several recipients --recipient, --provider, --finding, --held-for and
--to take those they fit, and the others stay held; --domain, --sender, --since and
--text take the message with all its held recipients. What was held by hand (mailgate
queue hold) a release with ALL leaves alone, save with --held-for by-hand.
Ctrl-C finishes the message in hand, then stops and says how far it got (exit code
130); what was done stays done, and the same command goes on with the rest.

Exit code: 0 all done, 1 some stay held or failed, 2 some stay held only because DNS
gives no answer. Messages that someone else moved meanwhile are counted apart; they
make it 1 only where they were named by id.`

func (a *app) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release ID…|ALL --reason TEXT",
		Short: "Check held messages again, sign them afresh and send them",
		Long: `Check held messages again, sign them afresh and send them by the way they came.
What would still be refused stays held; --anyway sends it all the same, and the
review log says so. Several messages go no faster than hold.release_rate allows.
` + bulkHelp,
		Example: `  mailgate quarantine release q7f3a --reason "record published"
  mailgate quarantine release q7f3a m2bcd --reason "record published"
  mailgate quarantine release ALL --domain example.com --reason "record published" --dry-run
  mailgate quarantine release q7f3a --to bob@gmail.com --anyway --reason "he waits for it"`,
	}
	b := &bulk{verb: verbRelease()}
	cmd.Flags().BoolVar(&b.order.Anyway, "anyway", false, "send it although it would be refused")
	return a.reviewCommand(cmd, b)
}

func (a *app) discardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discard ID…|ALL --reason TEXT",
		Short: "Throw held messages away; nobody is told",
		Long: `Throw held messages away. Nobody is told: neither the sender nor the recipients. It
can't be undone; the review log keeps who did it, and why.
` + bulkHelp,
		Example: `  mailgate quarantine discard q7f3a --reason "compromised account"
  mailgate quarantine discard ALL --domain spam.example --reason "compromised account" --dry-run
  mailgate quarantine discard ALL --sender newsletter@ --since 24h --reason "sent twice"`,
	}
	return a.reviewCommand(cmd, &bulk{verb: verbDiscard()})
}

// reviewCommand gives a verb the flags that all have.
func (a *app) reviewCommand(cmd *cobra.Command, b *bulk) *cobra.Command {
	var f filters
	f.register(cmd)
	if b.verb.in == spool.Held {
		f.registerHeld()
	}
	flags := cmd.Flags()
	flags.StringVar(&b.order.Reason, "reason", "", "why, for the review log (required)")
	flags.StringSliceVar(&b.order.Recipients, "to", nil, "only these recipients, by their whole `ADDRESS` (default: all that it can be about)")
	flags.BoolVar(&b.dryRun, "dry-run", false, "say what would happen to each message, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.review(cmd, args, b, &f) }
	return cmd
}

func (a *app) review(cmd *cobra.Command, args []string, b *bulk, f *filters) (err error) {
	if b.all, err = checkTargets(args, f); err != nil {
		return err
	}
	if strings.TrimSpace(b.order.Reason) == "" && !b.dryRun {
		return usageError(errors.New(`--reason is required: say why, it goes into the review log`))
	}
	if b.client, err = a.connect(); err != nil {
		return err
	}
	b.json, b.out, b.err = a.json(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	b.several = b.all || len(args) > 1
	if b.several && b.verb.done == resultReleased {
		b.order.Paced, b.order.Since = true, time.Now()
	}
	b.spare = b.all && b.verb.done == resultReleased && !f.isAboutByHand()
	b.progress = newProgress(b.err, b.json)
	targets, err := b.targets(cmd.Context(), args, b.all, f)
	b.progress.clear()
	if err != nil {
		return err
	}
	if b.all && len(f.given()) == 0 && !b.dryRun && !b.json {
		fmt.Fprintf(b.err, "%s without a filter: %s\n", guardWord, count(len(targets), string(b.verb.in)+" message", string(b.verb.in)+" messages"))
	}
	if b.spared > 0 && !b.json {
		fmt.Fprintf(b.err, "%s held by hand, left out: name them by id, or add --held-for %s\n", count(b.spared, "recipient is", "recipients are"), spool.ByHand)
	}
	return b.run(cmd.Context(), targets)
}
