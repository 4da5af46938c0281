package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailgate/internal/advise"
	"mailgate/internal/bounce"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// reading is what the input says of mail that didn't arrive, and what of that is
// still so.
type reading struct {
	bounce.Group
	Now  *nowFound `json:"now,omitempty"`
	Next string    `json:"next,omitempty"` // the command to go on with
}

// inputRead is what there was to read.
type inputRead struct {
	bounce.Stats
	Left   int `json:"left_out,omitempty"`       // readings beyond the most that are kept
	Strays int `json:"not_understood,omitempty"` // texts that say nothing, beyond those shown
}

// explainBounces reads bounces, logs and replies. text is the whole input, where it
// is short.
func (a *app) explainBounces(cmd *cobra.Command, in io.Reader, f explainFlags, text string) error {
	ctx := cmd.Context()
	p := newProgress(cmd.ErrOrStderr(), a.json())
	var groups bounce.Groups
	stats, err := bounce.Scan(in, func(r bounce.Reading) error {
		if len(f.selectors) > 0 {
			r.Selectors = f.selectors
		}
		groups.Add(r)
		return ctx.Err()
	}, func(s bounce.Stats) {
		p.say(func() string {
			return fmt.Sprintf("read %s: %s of mail that didn't arrive", bytesWord(s.Bytes), count(int(s.Readings), "line", "lines"))
		})
	})
	p.clear()
	if ctx.Err() != nil {
		return coded(exitInterrupted, fmt.Errorf("interrupted after %s", bytesWord(stats.Bytes)))
	}
	if err != nil {
		return coded(exitSoftware, fmt.Errorf("read the text: %w", err))
	}
	all := explained{Readings: readingsOf(&groups, a.command), Input: &inputRead{stats, groups.Left, groups.Strays}}
	if !f.noDNS {
		a.lookNow(ctx, all.Readings)
	}
	if a.json() {
		err = printJSON(cmd, all)
	} else {
		printReadings(cmd.OutOrStdout(), all)
	}
	if err != nil {
		return err
	}
	return understood(all, text)
}

// understood is the exit code: 2 where nothing in the input could be explained.
func understood(all explained, text string) error {
	for _, r := range all.Readings {
		if r.Meaning.Understood() {
			return nil
		}
	}
	if len(all.Readings) == 0 && all.Input.Delivered > 0 {
		return nil
	}
	if names := advise.NamesIn(text); len(names) > 0 {
		return coded(exitUnknown, fmt.Errorf("the text is not understood, but it names: mailgate explain %s", strings.Join(names, " ")))
	}
	if similar := advise.Similar(text); len(similar) > 0 {
		return coded(exitUnknown, fmt.Errorf("not understood; did you mean %s?", strings.Join(similar, ", ")))
	}
	return coded(exitUnknown, nil)
}

func readingsOf(groups *bounce.Groups, command func(words ...string) string) []reading {
	var list []reading
	for _, g := range groups.List() {
		r := reading{Group: g}
		if words := nextWords(&r.Reading); len(words) > 0 {
			r.Next = command(words...)
		}
		list = append(list, r)
	}
	return list
}

// nextWords are what to type next, after the program's name. They hold nothing but names
// that were parsed, as they may come from anywhere.
func nextWords(r *bounce.Reading) []string {
	switch {
	case r.Event == bounce.Rejected:
		return nil
	case r.Event == bounce.Held && isID(r.QueueID):
		return []string{"quarantine", "show", r.QueueID}
	}
	switch r.Meaning.Kind {
	case bounce.Authentication, bounce.HostName, bounce.Reputation, bounce.Content, bounce.Sender:
		return checkWords(r)
	case bounce.Blocklist, bounce.Rate:
		if r.Meaning.Fault == bounce.OurSending {
			return checkWords(r)
		}
	case bounce.TLS, bounce.Network:
		if d := domainOfAddress(r.Recipient); d != "" && r.Meaning.Rule != "expired" {
			return []string{"tls", "probe", string(d)}
		}
	}
	return nil
}

func checkWords(r *bounce.Reading) []string {
	if r.Domain == "" {
		return nil
	}
	words := []string{"check", string(r.Domain)}
	if r.OurIP != "" {
		words = append(words, "--ip", r.OurIP)
	}
	if r.MailFrom != "" && r.MailFrom != r.Domain {
		words = append(words, "--mail-from", string(r.MailFrom))
	}
	for _, s := range r.Selectors {
		if sign.CheckSelector(s) == nil {
			words = append(words, "--selector", s)
		}
	}
	if d := domainOfAddress(r.Recipient); d != "" && (r.Provider == "" || preflight.ProviderOfDomain(d) == preflight.UnknownProvider) {
		words = append(words, "--to", string(d))
	}
	return words
}

// isID reports whether s looks like an id of mailgate's, safe to be typed.
func isID(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// lookNow checks the domains that authentication failed for, within timeForDNS
// in all.
func (a *app) lookNow(ctx context.Context, list []reading) {
	ctx, cancel := context.WithTimeout(ctx, a.timeForDNS())
	defer cancel()
	n, err := a.newNow()
	if err != nil {
		note := &nowFound{Verdict: "unknown", Why: "not looked at: " + err.Error()}
		for i := range list {
			if worthChecking(&list[i].Reading) {
				list[i].Now = note
				return
			}
		}
		return
	}
	defer n.close()
	n.fill(ctx, list)
}
