package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	printAbout(out, d, screen)
	for _, r := range d.Recipients {
		printRecipient(out, r, screen)
	}
	if d.Source == "milter" { // the relay keeps all recipients of a message
		fmt.Fprintln(out, "         (other recipients, if there were any, were not held: their copies left at once)")
	}
	codes := printThenAndNow(out, p, d, f, screen)
	printPublishAll(out, d)
	codes = append(codes, heldCodes(d.Recipients, len(codes) == 0)...)
	for i, code := range codes {
		fmt.Fprintf(out, "%s mailgate explain %s\n", pad(first(i, "\nWhat it means:"), 14), code)
	}
	printHeader(out, d.Header)
	printShortLog(out, d, screen)
	fmt.Fprintf(out, "\nNext: %s\n", nextStep(d))
}

// heldCodes are the findings that recipients are held for: all of them, or those that
// no report has, as the relay found them itself.
func heldCodes(recipients []quarantine.Recipient, all bool) []string {
	var codes []string
	for _, r := range recipients {
		for _, code := range r.Codes {
			c, _ := preflight.Explain(code)
			if r.State == spool.Held && (all || c.Check == preflight.Relay) && !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
	}
	return codes
}

// first is s for the first of several lines, and nothing for the others.
func first(i int, s string) string {
	if i > 0 {
		return ""
	}
	return s
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
