package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/quarantine"
)

// logFlags select entries of the review log.
type logFlags struct {
	id, recipient, action, actor, since, until string
	limit                                      int
	after                                      int64
	verify                                     bool
	against                                    string
}

func (a *app) logCommand() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show or verify the review log: who did what with which message, when and why",
		Long: `Show the review log, the newest entry at the bottom. It is only ever appended to.

--format text, json (one object), jsonl (an object a line) or csv (with a heading). In
csv a cell from outside that begins with = + - @, a tab or a line end gets a leading
apostrophe, so that a spreadsheet doesn't run it.

Each entry carries the hash of the one before. --verify follows the whole chain and
proves that nothing was changed, left out or put in; against somebody who could write
the whole log anew it takes the line it prints, kept elsewhere, and --against the next
time. Exit code then: 0 the log is right, 1 it isn't (the first wrong entry is named),
2 what was noted earlier is older than hold.keep_log, so it can't be compared.

Actors are the users who gave commands, and what mailgate does by itself: milter (took
it), relay (took, delivered, returned it, or held what was refused), recheck (judged or
sent it), notify_after (told the sender), max_age (returned it), retention (removed old
entries), start (held again what a stop interrupted), mailgate (forgot a TLS override
that has ended), rotation (took the next step), rotate_every (began one). The actions
override and no-override are about TLS overrides made at run time, rotate is about the
replacement of a signing key; these are of no message.`,
		Example: `  mailgate quarantine log --since 7d --action release
  mailgate quarantine log --id q7f3a
  mailgate quarantine log --actor root --since 2026-11-01 --until 2026-12-01 --limit 0 --format csv > november.csv
  mailgate quarantine log --verify
  mailgate quarantine log --verify --against 1234:9f86d081884c7d65…`,
		Args:        usageArgs(cobra.NoArgs),
		Annotations: map[string]string{moreFormats: "jsonl csv"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.log(cmd, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "of this message `ID`")
	flags.StringVar(&f.recipient, "recipient", "", "part of the recipient's address")
	flags.StringVar(&f.action, "action", "", "hold, queue, release, deliver, requeue, assess, notify, discard, return, bounce, trim, override, no-override or rotate")
	flags.StringVar(&f.actor, "actor", "", "part of who did it: a user's name, or milter, relay, recheck, max_age, mailgate …")
	flags.StringVar(&f.since, "since", "", "in the last `24h`, 7d …, or since a date such as 2026-11-20T15:04")
	flags.StringVar(&f.until, "until", "", "before that `TIME`; a date means its first minute")
	flags.IntVar(&f.limit, "limit", 100, "the newest so many; 0: all")
	flags.Int64Var(&f.after, "after", 0, "go on with what is older than entry `N`")
	flags.BoolVar(&f.verify, "verify", false, "prove that nothing was changed or removed")
	flags.StringVar(&f.against, "against", "", "with --verify: what it printed earlier, as `N:HASH`")
	return cmd
}

func (a *app) log(cmd *cobra.Command, f logFlags) error {
	if f.verify {
		return a.verifyLog(cmd, f)
	}
	if f.against != "" {
		return usageError(errors.New("--against goes with --verify"))
	}
	switch {
	case f.limit < 0:
		return usageError(errors.New("--limit is a number of entries, or 0 for all"))
	case f.after < 0, f.after > 0 && f.limit == 0:
		return usageError(errors.New("--after is the number of an entry, and goes with a --limit"))
	}
	query, err := f.query(cmd, time.Now())
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	w := a.logWriter(cmd)
	some, older := false, int64(0)
	write := func(list []quarantine.Entry) error {
		some = some || len(list) > 0
		return w.write(list)
	}
	if f.limit == 0 {
		err = c.allEntries(cmd.Context(), query, write)
	} else {
		older, err = c.newestEntries(cmd.Context(), query, f.limit, write)
	}
	switch {
	case err != nil:
		return err
	case !some && f.id != "":
		return fmt.Errorf("message %s: no entry of it matches in the review log", f.id)
	}
	if err := w.close(); err != nil || a.format != "text" {
		return err
	}
	out := cmd.OutOrStdout()
	if !some {
		fmt.Fprintln(out, "no entries match")
	}
	if older > 0 {
		fmt.Fprintln(out, "older entries:", olderEntries(cmd, older))
	}
	return nil
}

// olderEntries is the whole command for the entries before these.
func olderEntries(cmd *cobra.Command, after int64) string {
	words := append([]string{cmd.CommandPath()}, typed(cmd, "config", "socket", "id", "recipient", "action", "actor", "since", "until", "limit")...)
	return strings.Join(append(words, "--after", strconv.FormatInt(after, 10)), " ")
}

func (f logFlags) query(cmd *cobra.Command, now time.Time) (url.Values, error) {
	query := url.Values{}
	for name, value := range map[string]string{"id": f.id, "recipient": f.recipient, "action": f.action, "actor": f.actor} {
		if cmd.Flags().Changed(name) {
			if value == "" {
				return nil, usageError(fmt.Errorf("--%s is empty: leave it out to mean all", name))
			}
			query.Set(name, value)
		}
	}
	if f.after > 0 {
		query.Set("after", strconv.FormatInt(f.after, 10))
	}
	for name, value := range map[string]string{"since": f.since, "until": f.until} {
		if value == "" {
			continue
		}
		t, err := parseWhen(value, now)
		if err != nil {
			return nil, usageError(fmt.Errorf("--%s: %w", name, err))
		}
		query.Set(name, t.UTC().Format(time.RFC3339))
	}
	return query, nil
}

// allEntries gives every entry to write, the oldest first, page by page.
func (c *client) allEntries(ctx context.Context, query url.Values, write func([]quarantine.Entry) error) error {
	query.Set("oldest", "true")
	return c.pages(ctx, query, -1, write)
}

// newestEntries gives the newest entries to write, the oldest of them first. older is
// the number of the first of them, where there are older ones; else 0.
func (c *client) newestEntries(ctx context.Context, query url.Values, limit int, write func([]quarantine.Entry) error) (older int64, err error) {
	var list []quarantine.Entry
	err = c.pages(ctx, query, limit+1, func(page []quarantine.Entry) error {
		list = append(list, page...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(list) > limit {
		list = list[:limit]
		older = list[limit-1].N
	}
	slices.Reverse(list)
	return older, write(list)
}

// pages reads up to limit entries; -1: all.
func (c *client) pages(ctx context.Context, query url.Values, limit int, each func([]quarantine.Entry) error) error {
	for limit != 0 {
		size := quarantine.MaxPage
		if limit > 0 {
			size = min(size, limit)
		}
		query.Set("limit", strconv.Itoa(size))
		var page quarantine.LogPage
		if err := c.get(ctx, "/v1/log", query, &page); err != nil {
			return err
		}
		if err := each(page.Entries); err != nil {
			return err
		}
		if page.Next == 0 {
			return nil
		}
		query.Set("after", strconv.FormatInt(page.Next, 10))
		if limit > 0 {
			limit -= len(page.Entries)
		}
	}
	return nil
}
