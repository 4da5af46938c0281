package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/web"
)

func (a *app) queueCommand() *cobra.Command {
	return group("queue", "See, retry, hold and give up what the relay has to deliver",
		a.queueListCommand(), a.queueShowCommand(), a.queueRetryCommand(), a.queueHoldCommand(), a.queueFailCommand(), a.queueFlushCommand(), a.queuePredictionsCommand())
}

func (a *app) queueListCommand() *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:   "list [DESTINATION]",
		Short: "List destinations, or the messages queued for one",
		Long: `List the destinations (recipient domains) that something is queued for, the fullest
first: how much, when it is tried next, and what the last try brought. With a
destination, list the messages queued for it, newest first.`,
		Example: "  mailgate queue list\n  mailgate queue list gmail.com",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usageError(fmt.Errorf("--limit %d: it is a number of lines, or 0 for all", limit))
			}
			var destination mail.Domain
			if len(args) > 0 {
				var err error
				if destination, err = mail.ParseDomain(args[0]); err != nil {
					return usageError(err)
				}
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if destination == "" {
				return a.queueDestinations(cmd, c, limit)
			}
			return a.queueMessages(cmd, c, string(destination), limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many destinations or messages; 0: all")
	return cmd
}

func (a *app) queueDestinations(cmd *cobra.Command, c *client, limit int) error {
	var page struct {
		Destinations []web.QueueDestination `json:"destinations"`
	}
	if err := c.get(cmd.Context(), "/v1/queue/destinations", url.Values{"limit": {strconv.Itoa(limit)}}, &page); err != nil {
		return err
	}
	if a.json() {
		return printJSON(cmd, page)
	}
	out := cmd.OutOrStdout()
	if len(page.Destinations) == 0 {
		fmt.Fprintln(out, "nothing is queued")
		return nil
	}
	g := grid{cut: []int{5}}
	g.add("DESTINATION", "QUEUED", "OLDEST", "NEXT TRY", "TLS", "LAST ANSWER")
	for _, d := range page.Destinations {
		g.add(plain(d.Domain, 0), strconv.Itoa(d.Queued), age(time.Since(d.Oldest)), nextTry(d.Next, d.Leased > 0),
			tlsWord(d.TLS, !d.Tried.IsZero()), plain(lastAnswer(d.Host, d.Answer), 0))
	}
	g.write(out, screenWidth(out))
	return nil
}

func (a *app) queueMessages(cmd *cobra.Command, c *client, destination string, limit int) error {
	page, err := c.queued(cmd.Context(), destination, limit)
	if err != nil {
		return err
	}
	if a.json() {
		return printJSON(cmd, page)
	}
	out := cmd.OutOrStdout()
	if len(page.Messages) == 0 {
		fmt.Fprintln(out, "nothing is queued there")
		return nil
	}
	g := grid{cut: []int{2, 3, 7}}
	g.add("ID", "AGE", "FROM", "TO", "NEXT TRY", "TRIES", "TLS", "LAST ANSWER")
	for _, m := range page.Messages {
		for _, r := range m.Recipients {
			if r.State != "queued" || !strings.HasSuffix(r.Address, "@"+destination) {
				continue
			}
			g.add(m.ID, age(time.Since(m.Received)), plain(m.From, 0), plain(r.Address, 0), nextTry(r.Next, false),
				strconv.Itoa(r.Tries), tlsWord(r.TLS, r.Tries > 0), plain(lastAnswer(r.Host, r.Answer), 0))
		}
	}
	g.write(out, screenWidth(out))
	return nil
}

// queuedPage is the answer about what is queued for a destination.
type queuedPage struct {
	Messages []web.QueueMessage `json:"messages"`
}

// queued fetches the messages queued for a destination, the newest first: at most
// limit, or (0) all.
func (c *client) queued(ctx context.Context, destination string, limit int) (queuedPage, error) {
	all := queuedPage{[]web.QueueMessage{}}
	query := url.Values{"destination": {destination}}
	for {
		n := quarantine.MaxPage
		if limit > 0 {
			n = min(n, limit-len(all.Messages))
		}
		query.Set("limit", strconv.Itoa(n))
		var page queuedPage
		if err := c.get(ctx, "/v1/queue/messages", query, &page); err != nil {
			return all, err
		}
		all.Messages = append(all.Messages, page.Messages...)
		if len(page.Messages) < n || len(all.Messages) == limit {
			return all, nil
		}
		query.Set("after", page.Messages[n-1].ID)
	}
}

func (a *app) queueShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show what became of a message at the relay, recipient by recipient",
		Long: `Show what became of a message at the relay, recipient by recipient: how often and
when it was tried, when it is tried next, with which TLS, and what was answered. Why
a message is held: mailgate quarantine show.

Exit code: 0 shown, 1 no such message.`,
		Example: "  mailgate queue show q7f3a\n  mailgate queue show q7f3a --format json",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var m web.QueueMessage
			if err := c.get(cmd.Context(), "/v1/queue/messages/"+url.PathEscape(args[0]), nil, &m); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, m)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s  from <%s>, received %s ago, %s\nsubject  %s\n",
				m.ID, plain(m.Sender, 0), age(time.Since(m.Received)), bytesWord(m.Size), plain(m.Subject, 0))
			for _, r := range m.Recipients {
				fmt.Fprintf(out, "<%s>  %s after %s", plain(r.Address, 0), r.State, count(r.Tries, "try", "tries"))
				if !r.Tried.IsZero() {
					fmt.Fprintf(out, ", the last %s ago", age(time.Since(r.Tried)))
				}
				if !r.Next.IsZero() {
					fmt.Fprintf(out, ", next %s", nextTry(r.Next, false))
				}
				if r.TLS != "" {
					fmt.Fprintf(out, ", %s", plain(r.TLS, 0))
				}
				fmt.Fprintln(out)
				if r.Answer != "" {
					fmt.Fprintf(out, "    %s\n", plain(lastAnswer(r.Host, r.Answer), 0))
				}
			}
			return nil
		},
	}
}

func (a *app) queueRetryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry ID|DESTINATION…",
		Short: "Try messages or destinations now",
		Long: `Try messages, or all that is queued for destinations, now rather than when their
time has come. What names a domain has a dot; ids have none.

Exit code: 0 something is tried, 1 nothing of that is queued, or no such message.`,
		Example: "  mailgate queue retry q7f3a\n  mailgate queue retry gmail.com",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var requests []web.QueueRetry
			for _, arg := range args {
				if strings.Contains(arg, ".") {
					requests = append(requests, web.QueueRetry{Destination: arg})
				} else {
					requests = append(requests, web.QueueRetry{ID: arg})
				}
			}
			return a.queueRetry(cmd, requests)
		},
	}
}

func (a *app) queueFlushCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "flush",
		Short: "Try everything now",
		Long: `Try all that is queued now, rather than when its time has come: after the network was
down, or once DNS or a firewall is mended.

Exit code: 0, also where nothing is queued.`,
		Example: "  mailgate queue flush",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.queueRetry(cmd, []web.QueueRetry{{All: true}})
		},
	}
}

func (a *app) queueRetry(cmd *cobra.Command, requests []web.QueueRetry) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	var sum web.QueueRetried
	for _, r := range requests {
		var done web.QueueRetried
		if err := c.post(cmd.Context(), "/v1/queue/retry", r, &done); err != nil {
			return err
		}
		sum.Recipients += done.Recipients
	}
	if a.json() {
		return printJSON(cmd, sum)
	}
	switch all := requests[0].All; {
	case sum.Recipients == 0 && all:
		fmt.Fprintln(cmd.OutOrStdout(), "nothing is queued")
	case sum.Recipients == 0:
		return coded(exitFail, errors.New("nothing of that is queued"))
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "%s tried now\n", count(sum.Recipients, "recipient is", "recipients are"))
	}
	return nil
}

func (a *app) queuePredictionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "predictions",
		Short: "Show where receivers answered otherwise than predicted",
		Long: `Show how the predictions compare with what receivers answered since the gateway
was started, and the latest answers that were otherwise than predicted.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var p relay.Predictions
			if err := c.get(cmd.Context(), "/v1/queue/predictions", nil, &p); err != nil {
				return err
			}
			if a.json() {
				return printJSON(cmd, p)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "since %s: %s agreed, %s missed (refused in fact), %s (accepted in fact)\n", p.Since.UTC().Format("2006-01-02 15:04:05 UTC"),
				thousands(p.Agreed), thousands(p.Missed), count(int(p.FalseAlarms), "false alarm", "false alarms"))
			for _, d := range p.Latest {
				fmt.Fprintf(out, "%s  %s  %s -> %s  expected %s  %s\n", d.At.UTC().Format("2006-01-02 15:04:05"), d.ID,
					plain(d.From.String(), 0), plain(d.Recipient.String(), 0), d.Expected, plain(lastAnswer(d.Host, d.Reply), 0))
			}
			return nil
		},
	}
}

// nextTry says when something is tried.
func nextTry(next time.Time, now bool) string {
	wait := time.Until(next)
	switch {
	case now || wait <= 0 && !next.IsZero():
		return "now"
	case next.IsZero():
		return "-"
	}
	return "in " + age(wait)
}

func tlsWord(tls string, tried bool) string {
	switch {
	case !tried:
		return "-"
	case tls == "":
		return "none"
	}
	return plain(tls, 0)
}

// lastAnswer is a server's answer, or what went wrong with it, with its name once.
func lastAnswer(host, answer string) string {
	bare := strings.ReplaceAll(answer, "[", "") // of addresses with a port
	for _, before := range []string{"", "connect to ", "TLS with "} {
		if host == "" || strings.HasPrefix(bare, before+host) {
			return answer
		}
	}
	return strings.TrimSpace(host + " " + answer)
}
