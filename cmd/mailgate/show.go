package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
)

// printDetail shows one message: what it is, why it is held, the evidence then and
// now, what to publish, and what was done with it.
func printDetail(out io.Writer, d quarantine.Detail) {
	p := painter(out)
	fmt.Fprintf(out, "%s   taken %s   %d bytes   %s\n", d.ID, d.Received.Local().Format("2006-01-02 15:04:05"), d.Size, d.Source)
	fmt.Fprintf(out, "From     %s   (MAIL FROM <%s>)\n", plain(d.From, 0), plain(d.Sender, 0))
	fmt.Fprintf(out, "Subject  %s\n", plain(d.Subject, 200))
	for _, r := range d.Recipients {
		printRecipient(out, r)
	}
	fmt.Fprintf(out, "Now      %s%s\n\n", nowWord(d.Message), because(d.Why))
	printThenAndNow(out, p, d)
	if len(d.Publish) > 0 {
		fmt.Fprintf(out, "\nPublish at %s:\n", d.Publish[0].At)
		for _, x := range d.Publish {
			printPublish(out, x)
		}
	}
	printLog(out, d.Log)
	anyway := ""
	if d.Now != "pass" {
		anyway = " --anyway"
	}
	if d.Now != "" {
		fmt.Fprintf(out, "\nNext: mailgate quarantine release %[1]s%[2]s --reason …   or: discard %[1]s --reason …\n", d.ID, anyway)
	}
}

func printRecipient(out io.Writer, r quarantine.Recipient) {
	fmt.Fprintf(out, "To       %s   %s", plain(r.Address, 0), r.State)
	if r.Reason != "" {
		fmt.Fprintf(out, " (%s)", r.Reason)
	}
	fmt.Fprintln(out)
	if r.Reply != "" {
		fmt.Fprintf(out, "         predicted, rule %s: %s\n", r.Rule, plain(r.Reply, 0))
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + plain(why, 0)
}

// printThenAndNow shows the findings of the hold beside those of now.
func printThenAndNow(out io.Writer, p paint, d quarantine.Detail) {
	var then preflight.Report
	if len(d.Then) > 0 && json.Unmarshal(d.Then, &then) == nil && !then.Checked.IsZero() {
		fmt.Fprintf(out, "Then, %s\n", then.Checked.Local().Format("2006-01-02 15:04:05"))
		printFindings(out, p, &then)
	}
	if d.Report != nil {
		fmt.Fprintf(out, "Now, %s\n", d.Report.Checked.Local().Format("2006-01-02 15:04:05"))
		printFindings(out, p, d.Report)
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

func printLog(out io.Writer, log []quarantine.Entry) {
	if len(log) == 0 {
		return
	}
	fmt.Fprintln(out, "\nLog")
	t := table(out)
	for _, e := range log {
		note := strings.TrimSpace(e.Reason + " " + e.Where)
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format("2006-01-02 15:04:05"), e.Action, plain(e.Recipient, 60), e.Actor, plain(note, 200))
	}
	t.Flush()
}
