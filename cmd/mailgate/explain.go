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
quarantine list and the log show them; "-" reads it from standard input. Without
TEXT all codes are listed, with a kind (dkim, spf, dmarc, dns, ptr, host, soa) the
codes of that kind. Works without the daemon.

The texts of bounces are not understood in this version.`,
		Example: "  mailgate explain dkim-only-on-local-dns\n  mailgate explain spf\n  mailgate explain --format json",
		Args:    usageArgs(cobra.ArbitraryArgs),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.explain(cmd, args) },
	}
}

// explained is what `explain` shows as JSON.
type explained struct {
	Findings []advise.Explanation `json:"findings"`
}

func (a *app) explain(cmd *cobra.Command, args []string) error {
	text := strings.Join(args, " ")
	if text == "-" {
		input, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxExplained))
		if err != nil {
			return coded(exitSoftware, fmt.Errorf("read standard input: %w", err))
		}
		if text = strings.TrimSpace(string(input)); text == "" {
			return usageError(errors.New("explain -: nothing came on standard input"))
		}
	}
	list := codesOf(text)
	long := len(list) == 0
	if long {
		var err error
		if list, err = namedCodes(text); err != nil {
			return usageError(err)
		}
	}
	var all explained
	for _, code := range list {
		e, _ := advise.Explain(code)
		all.Findings = append(all.Findings, e)
	}
	switch {
	case a.json():
		return printJSON(cmd, all)
	case long:
		printExplanations(cmd.OutOrStdout(), all.Findings)
	default:
		printCodes(cmd.OutOrStdout(), all.Findings)
	}
	return nil
}

// codesOf lists the codes of a kind, or all codes for no kind; none for any other
// text.
func codesOf(kind string) []string {
	var list []string
	for _, c := range preflight.Codes() {
		if kind == "" || strings.EqualFold(kind, string(c.Check)) {
			list = append(list, c.Code)
		}
	}
	return list
}

// namedCodes are the codes a text is made of. Its error says what explain takes.
func namedCodes(text string) ([]string, error) {
	found := advise.CodesIn(text)
	if len(found) > 0 && len(found) == len(strings.Fields(text)) {
		return found, nil
	}
	if len(found) > 0 {
		return nil, fmt.Errorf("this text is not understood in this version, but it names findings: mailgate explain %s", strings.Join(found, " "))
	}
	if similar := advise.Similar(text); len(similar) > 0 {
		return nil, fmt.Errorf("%q: no such finding; did you mean %s?", plain(text, 60), strings.Join(similar, ", "))
	}
	return nil, fmt.Errorf("%q is not a finding; explain takes finding codes such as dkim-missing (mailgate explain lists them); it doesn't understand the texts of bounces in this version",
		plain(text, 60))
}

func printCodes(out io.Writer, list []advise.Explanation) {
	t := table(out)
	kind := preflight.Check("")
	for _, e := range list {
		if e.Check != kind {
			kind = e.Check
			fmt.Fprintln(t, strings.ToUpper(string(kind)))
		}
		fmt.Fprintf(t, "  %s\t%s\n", e.Code.Code, e.Meaning)
	}
	t.Flush()
}

// explainWidth is where lines of explanations are broken, in characters.
const explainWidth = 80

func printExplanations(out io.Writer, list []advise.Explanation) {
	for i, e := range list {
		if i > 0 {
			fmt.Fprintln(out)
		}
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

// wrapped breaks text into indented lines of at most explainWidth characters;
// longer words stay whole.
func wrapped(indent, text string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		switch {
		case line == indent:
			line += word
		case len([]rune(line))+1+len([]rune(word)) > explainWidth:
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}
