package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
)

// verifyLog proves that the review log is as it was written.
func (a *app) verifyLog(cmd *cobra.Command, f logFlags) error {
	for _, name := range []string{"id", "recipient", "action", "actor", "since", "until", "limit", "after"} {
		if cmd.Flags().Changed(name) {
			return usageError(fmt.Errorf("--verify looks at the whole log: leave out --%s", name))
		}
	}
	if a.format != "text" && a.format != "json" {
		return usageError(errors.New("--verify answers in text or json"))
	}
	query := url.Values{}
	if cmd.Flags().Changed("against") {
		if f.against == "" {
			return usageError(errors.New("--against is empty: give what --verify printed earlier"))
		}
		query.Set("against", f.against)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	var v quarantine.Verified
	if err := c.get(cmd.Context(), "/v1/log/verify", query, &v); err != nil {
		return err
	}
	if a.json() {
		if err := printJSON(cmd, v); err != nil {
			return err
		}
	} else {
		printVerified(cmd.OutOrStdout(), v, f.against != "")
	}
	switch {
	case v.Right:
		return nil
	case v.Unproven != "":
		return coded(exitUnknown, nil)
	}
	return coded(exitFail, nil)
}

func printVerified(out io.Writer, v quarantine.Verified, compared bool) {
	p := painter(out)
	if v.Problem != "" {
		fmt.Fprintf(out, "%s the review log is wrong: %s\n", p.red("✗"), plain(v.Problem, 0))
		if v.Last > 0 {
			fmt.Fprintf(out, "  right up to entry %s (%s)\n", thousands(v.Last), v.Head)
		}
		fmt.Fprintln(out, "  Keep a copy of the store as it is, and compare with a backup: mailgate store check")
		return
	}
	if v.Entries == 0 {
		fmt.Fprintf(out, "%s the review log is empty\n", p.green("✓"))
		return
	}
	fmt.Fprintf(out, "%s %s, %s to %s, each as it was written and in its place\n", p.green("✓"),
		count(int(v.Entries), "entry", "entries"), thousands(v.First), thousands(v.Last))
	if v.Trimmed > 0 {
		fmt.Fprintf(out, "  %s before them removed when their time was over; the log says so itself\n", count(int(v.Trimmed), "entry", "entries"))
	}
	switch {
	case v.Unproven != "":
		fmt.Fprintf(out, "%s the comparison proves nothing: %s\n", p.yellow("…"), plain(v.Unproven, 0))
		fmt.Fprintln(out, "  That is no sign of a change. Note the last entry more often than hold.keep_log lets entries go")
	case compared:
		fmt.Fprintln(out, "  the log noted earlier is its beginning, unchanged")
	}
	fmt.Fprintf(out, "  the last is %[1]s\n  Note that elsewhere; next time: mailgate quarantine log --verify --against %[1]s\n", v.Head)
}
