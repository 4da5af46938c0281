package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

func printVerdict(out io.Writer, p paint, d quarantine.Detail, at time.Time, screen int) {
	held := "held for " + age(at.Sub(d.Received))
	var said string
	switch d.Now {
	case "pass":
		said = p.green("✓") + " " + held + "; it would pass now"
	case "refuse":
		said = p.red("✗") + " " + held + "; it would still be refused (prediction)"
		if refusedByReceiver(d) {
			said = p.red("✗") + " " + held + "; its receiver refused it, although by DNS it would take it"
		}
	case "unknown":
		said = p.yellow("…") + " " + held + "; waiting for DNS: nothing is known, so nothing is decided"
	case "by-hand":
		said = p.yellow("!") + " " + held + "; by hand: it leaves when a reviewer lets it go, not by itself"
	case "foreign":
		said = p.yellow("!") + " " + held + " by the policy for foreign mail: no key here signs for its author"
	default:
		said = "nothing of it is held any more: " + statesLine(d.Recipients)
	}
	fmt.Fprintf(out, "%s  %s\n", d.ID, said)
	if d.Why != "" {
		printWrapped(out, "       ", plain(d.Why, 0), screen)
	}
	if d.Note != "" {
		printWrapped(out, "       ", p.yellow("!")+" "+plain(d.Note, 0), screen)
	}
}

// statesLine counts recipients by state.
func statesLine(recipients []quarantine.Recipient) string {
	var parts []string
	for _, s := range []spool.State{spool.Held, spool.Queued, spool.Delivered, spool.Bounced, spool.Discarded} {
		n := 0
		for _, r := range recipients {
			if r.State == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, thousands(n)+" "+string(s))
		}
	}
	return strings.Join(parts, ", ")
}

// authorWord is the author of a message, which a bounce may not have.
func authorWord(m quarantine.Message) string { return cmp.Or(m.From, "(not usable)") }

func printAbout(out io.Writer, d quarantine.Detail, screen int) {
	fmt.Fprintf(out, "\nFrom     %s   (MAIL FROM <%s>)\n", plain(authorWord(d.Message), 0), plain(d.Sender, 0))
	fmt.Fprintf(out, "Subject  %s\n", plain(d.Subject, 200))
	parts := []string{d.Received.Local().Format(time.DateTime + " MST"), bytesWord(d.Size), "by " + d.Source}
	for _, x := range [][2]string{{"from ", d.Client}, {"as user ", d.User}, {queueName(d.Source), d.QueueID}, {"", d.MessageID}} {
		if x[1] != "" {
			parts = append(parts, x[0]+plain(x[1], 120))
		}
	}
	taken := strings.Join(parts, ", ")
	if screen == 0 || len("Taken    ")+cells(taken) <= screen {
		fmt.Fprintf(out, "Taken    %s\n", taken)
		return
	}
	for i, line := range wrap(taken, max(screen-len("Taken    "), 20)) {
		fmt.Fprintln(out, pad(first(i, "Taken"), 9)+line)
	}
}

func printRecipient(out io.Writer, r quarantine.Recipient, screen int) {
	fmt.Fprintf(out, "To       %s   %s", plain(r.Address, 0), r.State)
	if r.Reason != "" && r.State == spool.Held {
		fmt.Fprintf(out, " (%s)", heldWord(r))
	}
	fmt.Fprintln(out)
	if r.Reply != "" {
		what := "prediction for"
		if isRefusal(r.Codes) {
			what = "answer of"
		}
		fmt.Fprintf(out, "         %s %s, rule %s:\n", what, plain(preflight.Provider(r.Provider).Title(), 40), r.Rule)
		printWrapped(out, "         ", plain(r.Reply, 0), screen)
	}
}

// queueName is what a message's id outside mailgate's is, before the id.
func queueName(source string) string {
	if source == "milter" {
		return "Postfix "
	}
	return "Received id "
}

func heldWord(r quarantine.Recipient) string {
	if isRefusal(r.Codes) {
		return "its receiver refused it"
	}
	return reasonWord(r.Reason)
}

func reasonWord(r spool.Reason) string {
	switch r {
	case spool.Refused:
		return "a refusal was predicted"
	case spool.Waiting:
		return "waiting for DNS"
	case spool.Foreign:
		return "no key here"
	case spool.ByHand:
		return "by hand"
	}
	return string(r)
}

// nextStep is what to do now, in one line.
func nextStep(d quarantine.Detail) string {
	switch d.Now {
	case "pass":
		release := fmt.Sprintf(`mailgate quarantine release %s --reason "record published"`, d.ID)
		if d.AutoRelease {
			return "it leaves by itself; at once: " + release
		}
		return release + " (hold.auto_release is off: it doesn't leave by itself)"
	case "refuse":
		if refusedByReceiver(d) {
			return afterRefusal(d)
		}
		if len(d.Publish) > 0 {
			return "publish the record above, then: mailgate quarantine recheck " + d.ID
		}
		return "mend what is found above, then: mailgate quarantine recheck " + d.ID
	case "unknown":
		return "DNS is asked again by itself; at once: mailgate quarantine recheck " + d.ID
	case "by-hand":
		return fmt.Sprintf(`let it go: mailgate quarantine release %[1]s --reason "…", or give it up: mailgate queue fail %[1]s --reason "…" (the sender is told)`, d.ID)
	case "foreign":
		if d.From == "" {
			return fmt.Sprintf(`no key can sign it; send it unsigned: mailgate quarantine release %s --anyway --reason "…", or discard it`, d.ID)
		}
		return fmt.Sprintf(`add a key for the domain to the configuration, or send it unsigned: mailgate quarantine release %s --anyway --reason "…"`, d.ID)
	}
	return "nothing to do; what was done: mailgate quarantine show " + d.ID + " --log"
}
