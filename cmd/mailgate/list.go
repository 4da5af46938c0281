package main

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
)

func (a *app) listCommand() *cobra.Command {
	var f filters
	var states []string
	var sort, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List held messages, newest first",
		Long: `List held messages: how long they are held, why, and what would become of them
now. Filters narrow it down; a message is listed when all of them fit.

NOW says "would pass", "would be refused" (a prediction), "was refused" (the
receiver's own answer), "waiting for DNS" (nothing is known, so nothing is decided),
"no key here" (held by the policy for foreign mail), or "held by hand" (mailgate
queue hold: a reviewer lets it go). Of several recipients it is the gravest, and the
first in TO is the one it is about. What would pass leaves by itself, unless
auto_release is off.`,
		Example: `  mailgate quarantine list --domain example.com
  mailgate quarantine list --reason dkim --since 24h
  mailgate quarantine list --held-for waiting --sort oldest
  mailgate quarantine list --recipient @gmail.com --sort largest --limit 20
  mailgate quarantine list --state all --format json`,
		Args: usageArgs(cobra.NoArgs),
	}
	f.register(cmd)
	f.registerHeld()
	f.registerReason()
	flags := cmd.Flags()
	flags.StringSliceVar(&states, "state", nil, "held, queued, delivered, bounced, discarded or all (default held)")
	flags.StringVar(&sort, "sort", "newest", "newest, oldest or largest first")
	flags.IntVar(&limit, "limit", 100, "messages on a page, at most 1000")
	flags.StringVar(&after, "after", "", "go on after this message `ID`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query, err := f.query(time.Now())
		if err != nil {
			return err
		}
		query["state"] = states
		query.Set("sort", sort)
		query.Set("limit", strconv.Itoa(limit))
		if after != "" {
			query.Set("after", after)
		}
		return a.list(cmd, &f, query)
	}
	return cmd
}

func (a *app) list(cmd *cobra.Command, f *filters, query url.Values) error {
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
	out := cmd.OutOrStdout()
	printPage(out, page, query.Get("sort") == "largest", time.Now())
	printNotes(out, page.Messages)
	narrowed := len(f.given()) > 0 || len(query["state"]) > 0 || query.Get("after") != "" || page.Next != ""
	if narrowed {
		fmt.Fprintf(out, "%s shown; in all ", count(len(page.Messages), "message", "messages"))
	}
	fmt.Fprintln(out, heldLine(page.Counts))
	if page.Next != "" {
		fmt.Fprintln(out, "next page:", nextPage(cmd, f, page.Next))
	}
	return nil
}

// printNotes tells what keeps messages of a page from their end, each thing once.
func printNotes(out io.Writer, messages []quarantine.Message) {
	const named = 10
	ids := map[string][]string{}
	for _, m := range messages {
		if m.Note != "" {
			ids[m.Note] = append(ids[m.Note], m.ID)
		}
	}
	for _, note := range slices.Sorted(maps.Keys(ids)) {
		list := ids[note]
		more := ""
		if len(list) > named {
			more = fmt.Sprintf(" and %d more", len(list)-named)
		}
		fmt.Fprintf(out, "! %s%s: %s\n", strings.Join(list[:min(len(list), named)], ", "), more, plain(note, 0))
	}
}

// nextPage is the whole command for the page after this one.
func nextPage(cmd *cobra.Command, f *filters, after string) string {
	words := append([]string{cmd.CommandPath()}, typed(cmd, "config", "socket")...)
	words = append(words, f.given()...)
	words = append(words, typed(cmd, "state", "sort", "limit")...)
	return strings.Join(append(words, "--after", after), " ")
}

// printPage prints a table of messages. Where the screen is too narrow, shorter words
// have to do, and then the recipients' domains.
func printPage(out io.Writer, page quarantine.Page, sizes bool, at time.Time) {
	if len(page.Messages) == 0 {
		return
	}
	screen := screenWidth(out)
	g := pageGrid(page, sizes, at, summaryTo, nowWord)
	if screen > 0 && total(g.widths()) > screen {
		g = pageGrid(page, sizes, at, summaryTo, shortNowWord)
	}
	if screen > 0 && total(g.widths()) > screen {
		g = pageGrid(page, sizes, at, summaryToDomain, shortNowWord)
	}
	g.write(out, screen)
}

func pageGrid(page quarantine.Page, sizes bool, at time.Time,
	summary func([]quarantine.Recipient) string, now func([]quarantine.Recipient) string) *grid {
	const from, to, finding = 2, 3, 4
	g := &grid{cut: []int{from, to, finding}}
	g.add(row(sizes, "ID", "HELD", "FROM", "TO", "FINDING", "NOW", "SIZE")...)
	for _, m := range page.Messages {
		shown := gravestFirst(listedFor(m.Recipients))
		g.add(row(sizes, m.ID, age(heldUntil(shown, at).Sub(m.Received)), plain(authorWord(m), 60), plain(summary(shown), 60),
			summaryFinding(shown), now(shown), bytesWord(m.Size))...)
	}
	return g
}

// row leaves out the last cell, the size, where it isn't wanted.
func row(sizes bool, cells ...string) []string {
	if !sizes {
		return cells[:len(cells)-1]
	}
	return cells
}

// heldLine counts what is held, and what became of the rest.
func heldLine(c quarantine.Counts) string {
	line := fmt.Sprintf("%s held, %s of them waiting for DNS", count(c.Held, "recipient", "recipients"), thousands(c.Waiting))
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Foreign, "without a key here"}, {c.ByHand, "by hand"}, {c.Queued, "on the way out"}, {c.Delivered, "delivered"},
		{c.Bounced, "returned"}, {c.Discarded, "discarded"},
	} {
		if part.n > 0 {
			line += ", " + thousands(part.n) + " " + part.what
		}
	}
	return line
}
