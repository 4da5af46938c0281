package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// listedFor returns the recipients a message is listed for: those that answer to the
// filters, or all where none is marked.
func listedFor(recipients []quarantine.Recipient) []quarantine.Recipient {
	var selected []quarantine.Recipient
	for _, r := range recipients {
		if r.Selected {
			selected = append(selected, r)
		}
	}
	if len(selected) == 0 {
		return recipients
	}
	return selected
}

// heldUntil is when the last of the recipients was let go; now, where one is held.
func heldUntil(recipients []quarantine.Recipient, now time.Time) time.Time {
	var last time.Time
	for _, r := range recipients {
		if r.State == spool.Held || r.Changed.IsZero() {
			return now
		}
		if r.Changed.After(last) {
			last = r.Changed
		}
	}
	if last.IsZero() {
		return now
	}
	return last
}

// summaryTo is the first recipient, and how many more there are.
func summaryTo(recipients []quarantine.Recipient) string {
	return firstAndMore(recipients, func(address string) string { return address })
}

// summaryToDomain is summaryTo with the domain only.
func summaryToDomain(recipients []quarantine.Recipient) string {
	return firstAndMore(recipients, func(address string) string { return address[strings.LastIndexByte(address, '@')+1:] })
}

func firstAndMore(recipients []quarantine.Recipient, name func(string) string) string {
	switch len(recipients) {
	case 0:
		return ""
	case 1:
		return name(recipients[0].Address)
	}
	return fmt.Sprintf("%s +%d", name(recipients[0].Address), len(recipients)-1)
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

// nowWord says what would become of the recipients, where all are held, or else what
// became of them.
func nowWord(recipients []quarantine.Recipient) string {
	return nowWordOf(recipients, statesLine(recipients), map[string]string{
		"pass": "would pass ✓", "refuse": "would be refused ✗", "unknown": "waiting for DNS …", "foreign": "no key here", "by-hand": "held by hand",
	})
}

// shortNowWord is nowWord in one word or two.
func shortNowWord(recipients []quarantine.Recipient) string {
	return nowWordOf(recipients, "mixed", map[string]string{
		"pass": "pass ✓", "refuse": "refused ✗", "unknown": "no DNS …", "foreign": "no key", "by-hand": "by hand",
	})
}

func nowWordOf(recipients []quarantine.Recipient, mixed string, words map[string]string) string {
	state, worst := spool.State(""), ""
	for _, r := range recipients {
		if state != "" && r.State != state {
			return mixed
		}
		state = r.State
		if gravity(r.Now) > gravity(worst) {
			worst = r.Now
		}
	}
	if word := words[worst]; state == spool.Held && word != "" {
		return word
	}
	return string(state)
}

// gravity orders verdicts as the gateway does: the gravest of several is shown.
func gravity(now string) int {
	return slices.Index([]string{"pass", "by-hand", "unknown", "foreign", "refuse"}, now)
}
