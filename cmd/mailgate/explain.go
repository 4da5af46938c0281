package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/preflight"
)

// maxExplained bounds the text explain reads from standard input, in bytes.
const maxExplained = 1 << 20

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [TEXT|-]",
		Short: "Say what a finding means, what receivers do about it, and how to mend it",
		Long: `Say what a finding means, what receivers do about it, how it looks in DNS, how to
mend it and how to check that. TEXT is one finding code or several, as check,
quarantine list and the log show them, or the rule of a prediction; "-" reads it
from standard input. Without TEXT all codes are listed, with a kind (dkim, spf,
dmarc, dns, ptr, host, soa, from, relay) the codes of that kind, with "rules" the rules; with
what mail is held for (refused, waiting, foreign) what that may be. Works without the
daemon.

The texts of bounces are not understood in this version.`,
		Example: "  mailgate explain dkim-only-on-local-dns\n  mailgate explain spf\n  mailgate explain gmail-unauthenticated\n  mailgate explain --format json",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.explain(cmd, args) },
	}
}

// explained is what `explain` shows as JSON.
type explained struct {
	Findings []advise.Explanation `json:"findings,omitempty"`
	Rules    []preflight.Refusal  `json:"rules,omitempty"`
}

func (e *explained) add(name string) {
	if f, ok := advise.Explain(name); ok {
		e.Findings = append(e.Findings, f)
	}
	if r, ok := preflight.ExplainRule(name); ok {
		e.Rules = append(e.Rules, r)
	}
}

func (a *app) explain(cmd *cobra.Command, args []string) error {
	text, err := textToExplain(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	names := namesOf(text)
	show := printNames
	if len(names) == 0 {
		show = printExplained
		if names, err = namesIn(text); err != nil {
			return usageError(err)
		}
	}
	var all explained
	for _, name := range names {
		all.add(name)
	}
	if a.json() {
		return printJSON(cmd, all)
	}
	show(cmd.OutOrStdout(), all)
	return nil
}

// textToExplain is what was given as arguments, or on standard input.
func textToExplain(in io.Reader, args []string) (string, error) {
	text := strings.Join(args, " ")
	if text != "-" {
		return text, nil
	}
	input, err := io.ReadAll(io.LimitReader(in, maxExplained))
	if err != nil {
		return "", coded(exitSoftware, fmt.Errorf("read standard input: %w", err))
	}
	if text = strings.TrimSpace(string(input)); text == "" {
		return "", usageError(errors.New("explain -: nothing came on standard input"))
	}
	return text, nil
}

// namesOf lists the codes of a kind, all codes for no kind, or the rules; none for
// any other text.
func namesOf(kind string) []string {
	var list []string
	for _, c := range preflight.Codes() {
		if kind == "" || strings.EqualFold(kind, string(c.Check)) {
			list = append(list, c.Code)
		}
	}
	switch strings.ToLower(kind) {
	case "foreign": // what a recipient is held for, in a word
		return []string{"dkim-no-key", "from-unusable"}
	case "waiting":
		return []string{"dns-unreachable"}
	case "rules", "refused":
		for _, r := range preflight.Refusals() {
			list = append(list, r.Rule)
		}
	}
	return list
}

// namesIn are the codes and rules a text is made of. Its error says what explain
// takes.
func namesIn(text string) ([]string, error) {
	found := advise.NamesIn(text)
	if len(found) > 0 && len(found) == len(strings.Fields(text)) {
		return found, nil
	}
	if len(found) > 0 {
		return nil, fmt.Errorf("this text is not understood in this version, but it names: mailgate explain %s", strings.Join(found, " "))
	}
	if similar := advise.Similar(text); len(similar) > 0 {
		return nil, fmt.Errorf("%q: no such finding; did you mean %s?", plain(text, 60), strings.Join(similar, ", "))
	}
	return nil, fmt.Errorf("%q is not a finding; explain takes finding codes such as dkim-missing (mailgate explain lists them); it doesn't understand the texts of bounces in this version",
		plain(text, 60))
}

func printNames(out io.Writer, all explained) {
	t := table(out)
	kind := preflight.Check("")
	for _, e := range all.Findings {
		if e.Check != kind {
			kind = e.Check
			fmt.Fprintln(t, strings.ToUpper(string(kind)))
		}
		fmt.Fprintf(t, "  %s\t%s\n", e.Code.Code, e.Meaning)
	}
	for _, r := range all.Rules {
		fmt.Fprintf(t, "%s\t%s\n", r.Rule, r.Reply)
	}
	t.Flush()
}

// explainWidth is where lines of explanations are broken, in cells.
const explainWidth = 80

func printExplained(out io.Writer, all explained) {
	for i, e := range all.Findings {
		if i > 0 {
			fmt.Fprintln(out)
		}
		printExplanation(out, e)
	}
	for i, r := range all.Rules {
		if i > 0 || len(all.Findings) > 0 {
			fmt.Fprintln(out)
		}
		printRule(out, r)
	}
}

func printRule(out io.Writer, r preflight.Refusal) {
	fmt.Fprintf(out, "%s\n%s", r.Rule, wrapped("", "A rule of predictions: "+r.Provider.Title()+" answers so"+whom(r)+"."))
	fmt.Fprintf(out, "\nReply\n%s", wrapped("  ", r.Reply))
	fmt.Fprintf(out, "\nKnown from\n%s", wrapped("  ", r.Source))
	fmt.Fprint(out, "\nRests on the findings of\n")
	for _, c := range r.Checks {
		fmt.Fprintf(out, "  mailgate explain %s\n", c)
	}
}

func whom(r preflight.Refusal) string {
	switch {
	case r.Bulk:
		return " to bulk senders; for others it is a warning"
	case r.Warning:
		return ", though it is not known when: it is a warning only"
	}
	return ""
}

func printExplanation(out io.Writer, e advise.Explanation) {
	fmt.Fprintf(out, "%s\n%s", e.Code.Code, wrapped("", e.Meaning))
	if e.Receivers != "" {
		fmt.Fprintf(out, "\nReceivers\n%s", wrapped("  ", e.Receivers))
	}
	printExample(out, "Wrong", e.Wrong)
	printExample(out, "Right", e.Right)
	if len(e.Steps) > 0 {
		fmt.Fprint(out, "\nMend\n")
	}
	for n, step := range e.Steps {
		fmt.Fprintf(out, "  %d. %s", n+1, strings.TrimLeft(wrapped("     ", step), " "))
	}
	if e.Beware != "" {
		fmt.Fprintf(out, "\nBeware\n%s", wrapped("  ", e.Beware))
	}
	if e.Verify != "" {
		fmt.Fprintf(out, "\nCheck\n  %s\n", e.Verify)
	}
}

func printExample(out io.Writer, label string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", label)
	for _, l := range lines {
		fmt.Fprintf(out, "  %s\n", l)
	}
}

// wrapped is text in indented lines of at most explainWidth cells.
func wrapped(indent, text string) string {
	var b strings.Builder
	printWrapped(&b, indent, text, explainWidth)
	return b.String()
}
