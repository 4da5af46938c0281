package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/bounce"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// explainFlags are what `explain` is told beside the text.
type explainFlags struct {
	noDNS     bool
	selectors []string // of the message's signatures, where the text doesn't tell
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [TEXT|FILE|-]",
		Short: "Say what a bounce, log line, finding or code means, and what to do",
		Long: `Say what a refusal means, what it doesn't mean, whose it is to mend, and how; and what
is still wrong now.

TEXT is whatever tells of mail that didn't arrive: a line of the log of Exim, Postfix,
sendmail, qmail, Exchange (message tracking) or mailgate; a bounce's text, such as an
Exchange NDR; an SMTP reply; or the codes alone (5.7.26, "550 5.7.1"). "-" reads
standard input: a whole bounce message (RFC 3464), several of them in mbox form, or a
log of any length, of which the same refusals are counted; so is a FILE read. Put TEXT
in single quotes, as the shell would take its quotes, dollars and backslashes.

A refusal for want of SPF, DKIM, DMARC or PTR is checked against DNS as it is now: for
the sender's domain, with the address and, out of a report, the selectors the message
had; otherwise with those of --selector or the configured ones. DNS may take 5 seconds;
--no-dns leaves it out.

TEXT may also be a finding code or several, as check, quarantine list and the log show
them, or a rule's name: then it is said what receivers do about it, how it looks in
DNS, how to mend it and how to check that. Without TEXT all codes are listed, with a
kind (dkim, spf, dmarc, dns, ptr, host, soa, from, relay) the codes of that kind, with
"rules" the rules; with what mail is held for (refused, waiting, foreign) what that
may be.

Works without the daemon and without a configuration. Exit code: 0 explained, 2 not
understood.`,
		Example: `  mailgate explain '1nSeUV-0005zz-De ** x@gmail.com R=dnslookup T=remote_smtp H=gmail-smtp-in.l.google.com [142.250.1.27]: SMTP error from remote mail server after end of data: 550-5.7.26 This mail has been blocked because the sender is unauthenticated.'
  mailgate explain bounce.eml
  mailgate explain - < /var/log/mail.log
  journalctl -u postfix --since today | mailgate explain - --format json
  mailgate explain 550 5.7.1
  mailgate explain dkim-only-on-local-dns
  mailgate explain gmail-unauthenticated`,
		Args: usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error { return a.explain(cmd, args, f) },
	}
	cmd.Flags().StringArrayVar(&f.selectors, "selector", nil, "check DKIM with `SELECTOR`, where the text names none; may be repeated")
	cmd.Flags().BoolVar(&f.noDNS, "no-dns", false, "don't look at what the sender's domain publishes now")
	return cmd
}

// explained is what `explain` shows as JSON.
type explained struct {
	Findings []advise.Explanation `json:"findings,omitempty"`
	Rules    []preflight.Refusal  `json:"rules,omitempty"`   // of predictions
	Replies  []bounce.Rule        `json:"replies,omitempty"` // rules by which replies are read
	Codes    []statusExplained    `json:"codes,omitempty"`
	Readings []reading            `json:"readings,omitempty"`
	Input    *inputRead           `json:"input,omitempty"` // with readings
}

func (e *explained) add(name string) {
	if f, ok := advise.Explain(name); ok {
		e.Findings = append(e.Findings, f)
	}
	r, ok := preflight.ExplainRule(name)
	if ok {
		e.Rules = append(e.Rules, r)
	}
	if replies := bounce.Explain(name); len(replies) > 0 && !ok {
		e.Replies = append(e.Replies, replies[0])
	}
}

func (a *app) explain(cmd *cobra.Command, args []string, f explainFlags) error {
	for _, s := range f.selectors {
		if err := sign.CheckSelector(s); err != nil {
			return usageError(fmt.Errorf("--selector %q: %w", s, err))
		}
	}
	text := strings.Join(args, " ")
	switch {
	case len(args) > 0 && strings.TrimSpace(text) == "":
		return usageError(errors.New("explain: the text is empty"))
	case text == "-":
		return a.explainInput(cmd, cmd.InOrStdin(), "standard input", f)
	}
	if known, err := a.explainNames(cmd, text); known {
		return err
	}
	if at, err := os.Stat(text); err == nil && !at.IsDir() {
		return a.explainFile(cmd, text, f)
	}
	if err := misspelt(text); err != nil {
		return usageError(err)
	}
	return a.explainBounces(cmd, strings.NewReader(text), f, text)
}

// explainNames explains a text that is names or codes; known is false for any other.
func (a *app) explainNames(cmd *cobra.Command, text string) (known bool, err error) {
	if names := namesOf(text); len(names) > 0 {
		return true, a.showNames(cmd, names, printNames)
	}
	if names := namesIn(text); len(names) > 0 {
		return true, a.showNames(cmd, names, printExplained)
	}
	status, ok := codesIn(text)
	switch {
	case !ok:
		return false, nil
	case a.json():
		return true, printJSON(cmd, explained{Codes: []statusExplained{status}})
	}
	printStatus(cmd.OutOrStdout(), status)
	return true, nil
}

func (a *app) showNames(cmd *cobra.Command, names []string, show func(io.Writer, explained)) error {
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

// namesIn are the codes and rules a text is made of; none if there is more in it.
func namesIn(text string) []string {
	found := advise.NamesIn(text)
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' || c == '\n' || c == '\t' })
	for _, w := range words {
		if w = strings.ToLower(w); len(bounce.Explain(w)) > 0 && !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	if len(found) != len(words) {
		return nil
	}
	return found
}

// misspelt is an error for a text that is meant as a code or rule and isn't one.
func misspelt(text string) error {
	words := strings.Fields(text)
	if len(words) > 3 || strings.ContainsAny(text, "@:[](){}<>0123456789") {
		return nil
	}
	if similar := advise.Similar(text); len(similar) > 0 {
		return fmt.Errorf("%q: no such finding; did you mean %s?", plain(text, 60), strings.Join(similar, ", "))
	}
	if len(words) == 1 {
		return fmt.Errorf("%q is no finding, rule or code (mailgate explain lists them); a bounce or log line is explained from its whole text, in single quotes, or from its file: mailgate explain FILE",
			plain(text, 60))
	}
	return nil
}

func printNames(out io.Writer, all explained) {
	longest := 0
	for _, e := range all.Findings {
		longest = max(longest, len(e.Code.Code)+2)
	}
	for _, r := range all.Rules {
		longest = max(longest, len(r.Rule))
	}
	screen := screenWidth(out)
	entry := func(name, text string) {
		indent := strings.Repeat(" ", longest+2)
		var b strings.Builder
		printWrapped(&b, indent, text, screen)
		fmt.Fprint(out, pad(name, longest+2)+strings.TrimPrefix(b.String(), indent))
	}
	kind := preflight.Check("")
	for _, e := range all.Findings {
		if e.Check != kind {
			kind = e.Check
			fmt.Fprintln(out, strings.ToUpper(string(kind)))
		}
		entry("  "+e.Code.Code, e.Meaning)
	}
	for _, r := range all.Rules {
		entry(r.Rule, r.Reply)
	}
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
	for i, u := range all.Replies {
		if i > 0 || len(all.Findings)+len(all.Rules) > 0 {
			fmt.Fprintln(out)
		}
		printReplyRule(out, u)
	}
}

func printRule(out io.Writer, r preflight.Refusal) {
	fmt.Fprintf(out, "%s\n%s", r.Rule, wrapped("", "A rule of predictions: "+r.Provider.Title()+" answers so"+whom(r)+"."))
	fmt.Fprintf(out, "\nReply\n%s", wrapped("  ", r.Reply))
	if replies := bounce.Explain(r.Rule); len(replies) > 0 {
		fmt.Fprintf(out, "\nMeans\n%s", wrapped("  ", capital(bounce.Impersonal(replies[0].Means))))
	}
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
