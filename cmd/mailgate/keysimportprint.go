package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mailgate/internal/convert"
)

// hint says on standard error what the configuration on standard output is.
func (in *importing) hint(cmd *cobra.Command, plan *convert.Plan) {
	out := cmd.ErrOrStderr()
	fmt.Fprintf(out, "%s. Nothing was written: --out FILE does.\n", importSummary(plan))
	if in.whole {
		printImportNotes(out, plan, convert.Taken, "Taken over")
		printImportNotes(out, plan, convert.Moot, "Without meaning here")
	}
}

// importSummary is the result in a line.
func importSummary(plan *convert.Plan) string {
	kinds := map[convert.Kind]int{}
	for _, n := range plan.Notes {
		kinds[n.Kind]++
	}
	keys := 0
	for _, d := range plan.Domains {
		keys += len(d.Keys)
	}
	return fmt.Sprintf("%s: %s with %s; %s not taken over, %s to mend, %s",
		plan.Source, count(len(plan.Domains), "domain", "domains"), count(keys, "key", "keys"),
		count(kinds[convert.Left], "setting", "settings"), count(kinds[convert.Mend], "thing", "things"),
		count(len(plan.Differences)+plan.NotShown, "address signed otherwise", "addresses signed otherwise"))
}

// report is what there is to know once the configuration is written.
func (in *importing) report(cmd *cobra.Command, plan *convert.Plan) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s\nWritten: %s\n", importSummary(plan), in.out)
	for _, key := range plan.Inline {
		fmt.Fprintf(out, "Written: %s\n", plain(key.File, 0))
	}
	printImportNotes(out, plan, convert.Mend, "To mend before mailgate starts")
	printImportNotes(out, plan, convert.Left, "Not taken over")
	printImportNotes(out, plan, convert.Differs, "Done otherwise by mailgate")
	if in.whole {
		printImportNotes(out, plan, convert.Taken, "Taken over")
		printImportNotes(out, plan, convert.Moot, "Without meaning here")
	}
	printImportDifferences(out, plan)
	fmt.Fprintf(out, "\nNext:\n  put your public addresses into egress\n  mailgate config check --config %s\n  mailgate check --all --config %s\n", in.out, in.out)
	if plan.Relay {
		fmt.Fprintf(out, "  route Exim's mail to %s (docs/exim.md), and take dkim_ options out of its transport\n", plan.Listen)
	} else {
		fmt.Fprintf(out, "  first, in Postfix's main.cf: milter_default_action = tempfail; postfix reload\n")
		fmt.Fprintf(out, "  stop %s's signing, then start mailgate: two signers sign twice\n", plan.Source)
		fmt.Fprintf(out, "  in main.cf: smtpd_milters = %s, non_smtpd_milters = $smtpd_milters; postfix reload\n", plan.Milter())
	}
}

func printImportNotes(out io.Writer, plan *convert.Plan, kind convert.Kind, title string) {
	for _, n := range plan.Notes {
		if n.Kind != kind {
			continue
		}
		if title != "" {
			fmt.Fprintf(out, "\n%s:\n", title)
			title = ""
		}
		printWrapped(out, "  ", plain(n.String(), 0), screenWidth(out))
		if n.Do != "" {
			printWrapped(out, "    -> ", plain(n.Do, 0), 0)
		}
	}
}

func printImportDifferences(out io.Writer, plan *convert.Plan) {
	if len(plan.Differences) == 0 {
		return
	}
	fmt.Fprintln(out, "\nSigned otherwise than before:")
	g := grid{cut: []int{3}}
	g.add("  FROM", "BEFORE", "NOW", "WHY")
	for _, d := range plan.Differences {
		g.add("  "+plain(d.From, 0), plain(signedWith(d.Old), 0), plain(signedWith(d.New), 0), d.Why)
	}
	g.write(out, screenWidth(out))
	if plan.NotShown > 0 {
		fmt.Fprintf(out, "  and %d more\n", plan.NotShown)
	}
}

func signedWith(list []string) string {
	if len(list) == 0 {
		return "unsigned"
	}
	text := list[0]
	for _, s := range list[1:] {
		text += ", " + s
	}
	return text
}
