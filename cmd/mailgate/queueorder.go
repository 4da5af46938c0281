package main

import "github.com/spf13/cobra"

const queueBulkHelp = `
Name messages by their ids, or write ALL, with or without filters, to mean everything
the filters select of what is queued when the command begins; --dry-run says what
would happen to each and changes nothing.
Of a message to several recipients --recipient, --provider, --finding and --to take
those they fit, and the others stay queued; --domain, --sender, --since and --text
take the message with all its queued recipients.
What is being delivered at that moment stays queued, and you are told: try again in a
minute. Ctrl-C finishes the messages in hand, then stops and says how far it got (exit
code 130); what was done stays done, and the same command goes on with the rest.

Exit code: 0 all done, 1 some stay queued. Messages that left the queue meanwhile are
counted apart; they make it 1 only where they were named by id.`

func (a *app) queueHoldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold ID…|ALL --reason TEXT",
		Short: "Keep queued messages back until a reviewer lets them go",
		Long: `Take messages out of the queue and keep them in the quarantine, held by hand. The
re-check doesn't release them, nor does a start: they leave by mailgate quarantine
release, and end by mailgate quarantine discard (nobody is told) or mailgate queue
fail (the sender is told). hold.max_age, counted from now, returns them to the sender.
` + queueBulkHelp,
		Example: `  mailgate queue hold q7f3a --reason "is this a compromised account?"
  mailgate queue hold ALL --sender newsletter@ --reason "sent twice" --dry-run
  mailgate queue hold ALL --recipient @gmail.com --reason "Gmail is angry, wait until Monday"
  mailgate quarantine list --held-for by-hand`,
	}
	return a.reviewCommand(cmd, &bulk{verb: verbHold()})
}

func (a *app) queueFailCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fail ID…|ALL --reason TEXT",
		Short: "Give queued messages up now; the sender is told",
		Long: `Give messages up that are queued, or held by hand: they are not tried any more, and
each sender gets a report (RFC 3464) that an administrator gave his message up, with
your TEXT, so write it for him. It can't be undone; the review log keeps who did it,
and why. Who asked for no reports (NOTIFY=NEVER) gets none. Mail without a sender is
reported to hold.postmaster, or to nobody where none is set.
To throw mail away without a word: mailgate queue hold, then quarantine discard.
` + queueBulkHelp,
		Example: `  mailgate queue fail q7f3a --reason "the company has closed: write to info@example.net"
  mailgate queue fail ALL --recipient @old.example --reason "old.example is gone" --dry-run`,
	}
	cmd = a.reviewCommand(cmd, &bulk{verb: verbFail()})
	cmd.Flags().Lookup("reason").Usage = "why, for the sender and the review log (required)"
	return cmd
}
