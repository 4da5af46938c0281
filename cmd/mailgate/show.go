package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// showFlags choose what is shown of a message.
type showFlags struct{ raw, log, wide, narrow bool }

func (a *app) showCommand() *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a held message: why, the evidence then and now, what to publish",
		Long: `Show one message: in words what would become of it now, the predicted reply and its
rule, the evidence at the time of holding beside that of now, the records to
publish in the form of the domain's DNS host, its header and its review log.

The two pieces of evidence are beside each other where 100 columns allow it, and
below each other otherwise; --wide and --narrow say which.`,
		Example: `  mailgate quarantine show q7f3a
  mailgate quarantine show q7f3a --raw > message.eml
  mailgate quarantine show q7f3a --log`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.show(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.raw, "raw", false, "write the original message, byte for byte, and nothing else")
	flags.BoolVar(&f.log, "log", false, "show its review log only, all of it")
	flags.BoolVar(&f.wide, "wide", false, "then and now beside each other")
	flags.BoolVar(&f.narrow, "narrow", false, "then and now below each other")
	return cmd
}

func (a *app) show(cmd *cobra.Command, id string, f showFlags) error {
	switch {
	case f.raw && a.json():
		return usageError(errors.New("--raw is the message itself: it has no other format"))
	case f.raw && f.log, f.wide && f.narrow:
		return usageError(errors.New("--raw and --log, --wide and --narrow: give one of the two"))
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	path := "/v1/quarantine/" + url.PathEscape(id)
	out := cmd.OutOrStdout()
	if f.raw {
		return c.stream(cmd.Context(), path+"/raw", out)
	}
	var d quarantine.Detail
	if err := c.get(cmd.Context(), path, nil, &d); err != nil {
		return err
	}
	switch {
	case f.log:
		return a.showLog(cmd, c, d)
	case a.json():
		return printJSON(cmd, d)
	}
	printDetail(out, d, f, time.Now())
	return nil
}

// showLog shows the whole review log of a message.
func (a *app) showLog(cmd *cobra.Command, c *client, d quarantine.Detail) error {
	w := a.logWriter(cmd)
	var err error
	if d.LogNext == 0 {
		err = w.write(d.Log)
	} else {
		err = c.allEntries(cmd.Context(), url.Values{"id": {d.ID}}, w.write)
	}
	if err != nil {
		return err
	}
	return w.close()
}

// printDetail shows one message: the verdict in words, what it is, the evidence
// then and now, what to publish, what was done with it, and what to do next.
func printDetail(out io.Writer, d quarantine.Detail, f showFlags, at time.Time) {
	p := painter(out)
	screen := screenWidth(out)
	printVerdict(out, p, d, at, screen)
	printAbout(out, d)
	for _, r := range d.Recipients {
		printRecipient(out, r, screen)
	}
	codes := printThenAndNow(out, p, d, f, screen)
	printPublishAll(out, d)
	for i, code := range codes {
		fmt.Fprintf(out, "%s mailgate explain %s\n", pad(first(i, "\nWhat it means:"), 14), code)
	}
	printHeader(out, d.Header)
	printShortLog(out, d, screen)
	fmt.Fprintf(out, "\nNext: %s\n", nextStep(d))
}

// first is s for the first of several lines, and nothing for the others.
func first(i int, s string) string {
	if i > 0 {
		return ""
	}
	return s
}

func printVerdict(out io.Writer, p paint, d quarantine.Detail, at time.Time, screen int) {
	held := "held for " + age(at.Sub(d.Received))
	var said string
	switch d.Now {
	case "pass":
		said = p.green("✓") + " " + held + "; it would pass now"
	case "refuse":
		said = p.red("✗") + " " + held + "; it would still be refused (prediction)"
	case "unknown":
		said = p.yellow("…") + " " + held + "; waiting for DNS: nothing is known, so nothing is decided"
	case "foreign":
		said = p.yellow("!") + " " + held + " by the policy for foreign mail: no key here signs for its author"
	default:
		said = "nothing of it is held any more: " + statesLine(d.Recipients)
	}
	fmt.Fprintf(out, "%s  %s\n", d.ID, said)
	if d.Why != "" {
		printWrapped(out, "       ", plain(d.Why, 0), screen)
	}
}

// statesLine counts recipients by state.
func statesLine(recipients []quarantine.Recipient) string {
	var parts []string
	for _, s := range []spool.State{spool.Queued, spool.Delivered, spool.Bounced, spool.Discarded} {
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

func printAbout(out io.Writer, d quarantine.Detail) {
	fmt.Fprintf(out, "\nFrom     %s   (MAIL FROM <%s>)\n", plain(d.From, 0), plain(d.Sender, 0))
	fmt.Fprintf(out, "Subject  %s\n", plain(d.Subject, 200))
	parts := []string{d.Received.Local().Format(time.DateTime), bytesWord(d.Size), "by " + d.Source}
	for _, x := range [][2]string{{"from ", d.Client}, {"as user ", d.User}, {"Postfix ", d.QueueID}, {"", d.MessageID}} {
		if x[1] != "" {
			parts = append(parts, x[0]+plain(x[1], 120))
		}
	}
	fmt.Fprintf(out, "Taken    %s\n", strings.Join(parts, ", "))
}

func printRecipient(out io.Writer, r quarantine.Recipient, screen int) {
	fmt.Fprintf(out, "To       %s   %s", plain(r.Address, 0), r.State)
	if r.Reason != "" && r.State == spool.Held {
		fmt.Fprintf(out, " (%s)", reasonWord(r.Reason))
	}
	fmt.Fprintln(out)
	if r.Reply != "" {
		fmt.Fprintf(out, "         prediction for %s, rule %s:\n", plain(preflight.Provider(r.Provider).Title(), 40), r.Rule)
		printWrapped(out, "         ", plain(r.Reply, 0), screen)
	}
}

// printWrapped prints text below an indent, in lines that fit on the screen.
func printWrapped(out io.Writer, indent, text string, screen int) {
	lines := []string{text}
	if screen > 0 {
		lines = wrap(text, max(screen-len(indent), 20))
	}
	for _, l := range lines {
		fmt.Fprintln(out, indent+l)
	}
}

func reasonWord(r spool.Reason) string {
	switch r {
	case spool.Refused:
		return "a refusal was predicted"
	case spool.Waiting:
		return "waiting for DNS"
	case spool.Foreign:
		return "no key here"
	}
	return string(r)
}

// thenReport is the report the message was held on, nil if there is none.
func thenReport(d quarantine.Detail) *preflight.Report {
	var then preflight.Report
	if len(d.Then) == 0 || json.Unmarshal(d.Then, &then) != nil || then.Checked.IsZero() {
		return nil
	}
	return &then
}

func printPublishAll(out io.Writer, d quarantine.Detail) {
	word := "Publish"
	if d.Now == "pass" {
		word = "Still worth publishing"
	}
	at := ""
	for _, x := range d.Publish {
		if x.At != at {
			at = x.At
			fmt.Fprintf(out, "\n%s at %s:\n", word, plain(at, 80))
		}
		printPublish(out, x)
	}
}

func printPublish(out io.Writer, x notice.Record) {
	fmt.Fprintf(out, "  Type %s   Name %s   Content %s\n", x.Type, x.Name, plain(x.Value, 0))
	for _, old := range x.Replaces {
		fmt.Fprintf(out, "      replaces %s\n", plain(old, 0))
	}
	for _, note := range x.Notes {
		fmt.Fprintf(out, "      %s\n", plain(note, 0))
	}
}

// printHeader shows the header as text; control characters from outside don't reach
// the terminal.
func printHeader(out io.Writer, header string) {
	if header == "" {
		return
	}
	fmt.Fprintln(out, "\nHeader")
	for line := range strings.Lines(header) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" {
			fmt.Fprintln(out, "  "+plain(strings.ReplaceAll(line, "\t", " "), 0))
		}
	}
}

const shortLog = 5 // entries shown of a message's review log

func printShortLog(out io.Writer, d quarantine.Detail, screen int) {
	if len(d.Log) == 0 {
		return
	}
	more := len(d.Log) - shortLog
	switch {
	case d.LogNext != 0:
		fmt.Fprintf(out, "\nReview log, the last %d of %s entries or more (all: --log)\n", shortLog, thousands(len(d.Log)))
	case more > 0:
		fmt.Fprintf(out, "\nReview log, the last %d of %s entries (all: --log)\n", shortLog, thousands(len(d.Log)))
	default:
		fmt.Fprintln(out, "\nReview log")
	}
	for _, e := range d.Log[max(0, more):] {
		printEntry(out, e, screen)
	}
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
		if len(d.Publish) > 0 {
			return "publish the record above, then: mailgate quarantine recheck " + d.ID
		}
		return "mend what is found above, then: mailgate quarantine recheck " + d.ID
	case "unknown":
		return "DNS is asked again by itself; at once: mailgate quarantine recheck " + d.ID
	case "foreign":
		return fmt.Sprintf(`add a key for the domain to the configuration, or send it unsigned: mailgate quarantine release %s --anyway --reason "…"`, d.ID)
	}
	return "nothing to do; what was done: mailgate quarantine show " + d.ID + " --log"
}
