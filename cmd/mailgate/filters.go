package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailgate/internal/doctor"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// filters select messages; the list and the bulk verbs have them in common.
type filters struct {
	cmd                                         *cobra.Command
	names                                       []string // of the flags
	domain, sender, recipient, provider         string
	finding, heldFor, reason, since, textFilter string
}

func (f *filters) register(cmd *cobra.Command) {
	f.cmd = cmd
	f.names = []string{"domain", "sender", "recipient", "finding", "provider", "since", "text"}
	flags := cmd.Flags()
	flags.StringVar(&f.domain, "domain", "", "From `DOMAIN`")
	flags.StringVar(&f.sender, "sender", "", "part of the sender's or author's address")
	flags.StringVar(&f.recipient, "recipient", "", "part of a recipient's address")
	flags.StringVar(&f.finding, "finding", "", "finding `CODE` such as dkim-missing, or a kind of them such as dkim")
	flags.StringVar(&f.provider, "provider", "", "the recipient's: google, microsoft, yahoo, apple, qq, other, or unknown (DNS gave no answer)")
	flags.StringVar(&f.since, "since", "", "received in the last `24h`, 7d …, or since a date such as 2026-11-20")
	flags.StringVar(&f.textFilter, "text", "", "part of subject, author or recipient")
}

// registerHeld adds what only held mail can be asked for.
func (f *filters) registerHeld() {
	f.cmd.Flags().StringVar(&f.heldFor, "held-for", "", "refused, waiting (for DNS), foreign (no key here), by-hand, or a finding")
	f.names = append(f.names, "held-for")
}

// registerReason adds --held-for's other name, for commands that ask for no reason
// of the reviewer's.
func (f *filters) registerReason() {
	f.cmd.Flags().StringVar(&f.reason, "reason", "", "the same as --held-for")
	f.names = append(f.names, "reason")
}

// narrow reports whether one of the filters is about single recipients: then only
// those of a message that answer to it are meant, not all that are held.
func (f *filters) narrow() bool {
	return f.recipient != "" || f.provider != "" || f.finding != "" || f.heldFor != "" || f.reason != ""
}

// isAboutByHand reports whether what is held by hand is asked for by name.
func (f *filters) isAboutByHand() bool {
	return strings.EqualFold(f.heldFor, string(spool.ByHand))
}

// given returns the filters that are set, as they were typed.
func (f *filters) given() []string { return typed(f.cmd, f.names...) }

// typed returns those of the named flags that are set, as they were typed.
func typed(cmd *cobra.Command, names ...string) []string {
	var list []string
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			value := strings.TrimSuffix(strings.TrimPrefix(flag.Value.String(), "["), "]") // brackets: of a list
			list = append(list, "--"+name, doctor.Quote(value))
		}
	}
	return list
}

// query is what the API is asked. An empty filter is refused: it is more likely an
// unset variable of a script than the wish to select everything.
func (f *filters) query(now time.Time) (url.Values, error) {
	query := url.Values{}
	for _, name := range f.names {
		if flag := f.cmd.Flags().Lookup(name); flag.Changed && strings.TrimSpace(flag.Value.String()) == "" {
			return nil, usageError(fmt.Errorf("--%s is empty: leave it out to mean all", name))
		}
	}
	for name, value := range map[string]string{
		"domain": f.domain, "sender": f.sender, "recipient": f.recipient, "provider": f.provider, "text": f.textFilter,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.since != "" {
		t, err := parseWhen(f.since, now)
		if err != nil {
			return nil, usageError(fmt.Errorf("--since: %w", err))
		}
		query.Set("since", t.UTC().Format(time.RFC3339))
	}
	return query, f.queryCause(query)
}

// queryCause puts in what the messages are held for: a reason, or a finding.
func (f *filters) queryCause(query url.Values) error {
	cause := f.heldFor
	if f.reason != "" {
		if cause != "" {
			return usageError(errors.New("--reason and --held-for are the same: give one of them"))
		}
		cause = f.reason
	}
	cause = strings.ToLower(cause)
	if f.finding != "" {
		query.Set("code", f.finding)
	}
	switch spool.Reason(cause) {
	case "":
	case spool.Refused, spool.Waiting, spool.Foreign, spool.ByHand:
		query.Set("reason", cause)
	default:
		if !quarantine.IsCode(cause) {
			return usageError(fmt.Errorf("held for %q: it is refused, waiting, foreign, by-hand, or a finding: a code such as dkim-missing, or a kind of codes such as dkim", cause))
		}
		if f.finding != "" && !strings.EqualFold(f.finding, cause) {
			return usageError(fmt.Errorf("--finding %s and --held-for %s: give one finding", f.finding, cause))
		}
		query.Set("code", cause)
	}
	return nil
}
