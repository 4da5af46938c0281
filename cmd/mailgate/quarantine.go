package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

func (a *app) quarantineCommand() *cobra.Command {
	return group("quarantine", "See, release and discard held mail",
		a.listCommand(), a.showCommand(), a.releaseCommand(), a.discardCommand())
}

func (a *app) listCommand() *cobra.Command {
	query := url.Values{}
	var states []string
	var since, reason string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List held messages, newest first",
		Example: `  mailgate quarantine list --domain example.com
  mailgate quarantine list --reason dkim --since 24h
  mailgate quarantine list --reason waiting
  mailgate quarantine list --state all --format json`,
		Args: usageArgs(cobra.NoArgs),
	}
	flags := cmd.Flags()
	text := func(name, help string) *string { return flags.String(name, "", help) }
	domain, sender := text("domain", "From `DOMAIN`"), text("sender", "part of the sender's or author's address")
	recipient, finding := text("recipient", "part of a recipient's address"), text("finding", "finding `CODE`, such as dkim-missing")
	provider, words := text("provider", "google, microsoft, yahoo, apple, qq or other"), text("text", "part of subject, author or recipient")
	after := text("after", "go on after this message `ID`")
	flags.StringVar(&reason, "reason", "", "refused, waiting (for DNS), foreign, or a finding such as dkim-missing or just dkim")
	flags.StringVar(&since, "since", "", "received in the last `24h`, `7d`…")
	flags.StringSliceVar(&states, "state", nil, "held, queued, delivered, bounced, discarded or all (default held)")
	flags.IntVar(&limit, "limit", 100, "messages on a page, at most 1000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for name, value := range map[string]string{"domain": *domain, "sender": *sender, "recipient": *recipient,
			"code": *finding, "provider": *provider, "text": *words, "after": *after} {
			if value != "" {
				query.Set(name, value)
			}
		}
		query["state"] = states
		query.Set("limit", strconv.Itoa(limit))
		switch spool.Reason(reason) {
		case "":
		case spool.Refused, spool.Waiting, spool.Foreign:
			query.Set("reason", reason)
		default:
			query.Set("code", reason)
		}
		if since != "" {
			d, err := parseAge(since)
			if err != nil {
				return usageError(fmt.Errorf("--since: %w", err))
			}
			query.Set("since", time.Now().Add(-d).UTC().Format(time.RFC3339))
		}
		return a.list(cmd, query)
	}
	return cmd
}

func (a *app) list(cmd *cobra.Command, query url.Values) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	var page quarantine.Page
	if err := c.get(cmd.Context(), "/v1/quarantine", query, &page); err != nil {
		return err
	}
	if a.json() {
		return printJSON(cmd, page)
	}
	printPage(cmd.OutOrStdout(), page, time.Now())
	return nil
}

func printPage(out io.Writer, page quarantine.Page, at time.Time) {
	if len(page.Messages) > 0 {
		t := table(out)
		fmt.Fprint(t, "ID\tHELD\tFROM\tTO\tFINDING\tNOW\n")
		for _, m := range page.Messages {
			to := heldFirst(m.Recipients)
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, age(at.Sub(m.Received)), plain(m.From, 40),
				plain(summaryTo(to), 40), summaryFinding(to), nowWord(m))
		}
		t.Flush()
	}
	if page.Next != "" {
		fmt.Fprintf(out, "more: --after %s\n", page.Next)
	}
	fmt.Fprintln(out, heldLine(page.Counts))
}

// heldLine counts what is held.
func heldLine(c quarantine.Counts) string {
	return fmt.Sprintf("%s held, %d of them waiting for DNS", count(c.Held, "recipient", "recipients"), c.Waiting)
}

// heldFirst returns the recipients that are held, or all where none is.
func heldFirst(recipients []quarantine.Recipient) []quarantine.Recipient {
	var held []quarantine.Recipient
	for _, r := range recipients {
		if r.State == spool.Held {
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		return recipients
	}
	return held
}

// summaryTo is the first recipient, and how many more there are.
func summaryTo(recipients []quarantine.Recipient) string {
	if len(recipients) == 0 {
		return ""
	}
	to := recipients[0].Address
	if len(recipients) > 1 {
		to += fmt.Sprintf(" +%d", len(recipients)-1)
	}
	return to
}

func summaryFinding(recipients []quarantine.Recipient) string {
	for _, r := range recipients {
		if len(r.Codes) > 0 {
			return r.Codes[0]
		}
		if r.Reason != "" {
			return string(r.Reason)
		}
	}
	return ""
}

func nowWord(m quarantine.Message) string {
	switch m.Now {
	case "pass":
		return "would pass ✓"
	case "refuse":
		return "would be refused ✗"
	case "unknown":
		return "waiting for DNS …"
	case "foreign":
		return "no key here"
	}
	if len(m.Recipients) > 0 {
		return string(m.Recipients[0].State)
	}
	return ""
}

// parseAge understands 24h, 30m and 7d.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is not a time such as 24h or 7d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time such as 24h or 7d", s)
	}
	return d, nil
}

func (a *app) showCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a held message: why, the evidence then and now, what to publish",
		Example: "  mailgate quarantine show q7f3a\n  mailgate quarantine show q7f3a --raw > message.eml",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			path := "/v1/quarantine/" + url.PathEscape(args[0])
			if raw {
				return c.stream(cmd.Context(), path+"/raw", cmd.OutOrStdout())
			}
			var d quarantine.Detail
			if err := c.get(cmd.Context(), path, nil, &d); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, d)
			}
			printDetail(cmd.OutOrStdout(), d)
			return nil
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "write the original message, byte for byte")
	return cmd
}

func (a *app) releaseCommand() *cobra.Command {
	var review web.Review
	cmd := &cobra.Command{
		Use:   "release ID",
		Short: "Check a held message again, sign it afresh and send it",
		Long: `Check a held message again, sign it afresh and send it by the way it came.
What would still be refused stays held (exit code 1); --anyway sends it all the same.`,
		Example: `  mailgate quarantine release q7f3a --reason "record published"`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var released quarantine.Released
			if err := a.review(cmd, args[0], "release", review, &released); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, released)
			}
			for _, r := range released.Recipients {
				fmt.Fprintf(cmd.OutOrStdout(), "%s released to <%s>: %s\n", released.ID, plain(r.Address, 0), plain(r.Answer, 0))
			}
			return nil
		},
	}
	reviewFlags(cmd, &review)
	cmd.Flags().BoolVar(&review.Anyway, "anyway", false, "send it although it would be refused")
	return cmd
}

func (a *app) discardCommand() *cobra.Command {
	var review web.Review
	cmd := &cobra.Command{
		Use:     "discard ID",
		Short:   "Throw a held message away; nobody is told",
		Example: `  mailgate quarantine discard q7f3a --reason "compromised account"`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var done struct {
				ID string `json:"id"`
			}
			if err := a.review(cmd, args[0], "discard", review, &done); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s discarded\n", done.ID)
			return nil
		},
	}
	reviewFlags(cmd, &review)
	return cmd
}

func reviewFlags(cmd *cobra.Command, review *web.Review) {
	cmd.Flags().StringVar(&review.Reason, "reason", "", "why, for the review log (required)")
	cmd.Flags().StringSliceVar(&review.Recipients, "to", nil, "only these recipients (default: all that are held)")
}

func (a *app) review(cmd *cobra.Command, id, verb string, review web.Review, into any) error {
	if strings.TrimSpace(review.Reason) == "" {
		return usageError(errors.New(`--reason is required: say why, it goes into the review log`))
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	return c.post(cmd.Context(), "/v1/quarantine/"+url.PathEscape(id)+"/"+verb, review, into)
}
