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
		"pass": "would pass ✓", "refuse": "would be refused ✗", "unknown": "waiting for DNS …", "foreign": "no key here", byHand: "held by hand", refused: "was refused ✗",
	})
}

// shortNowWord is nowWord in one word or two.
func shortNowWord(recipients []quarantine.Recipient) string {
	return nowWordOf(recipients, "mixed", map[string]string{
		"pass": "pass ✓", "refuse": "refused ✗", "unknown": "no DNS …", "foreign": "no key", byHand: "by hand", refused: "refused ✗",
	})
}

const (
	byHand  = string(spool.ByHand)
	refused = "refused" // by the receiver itself: no prediction
)

// nowWordOf tells the gravest verdict. What is held by hand is told beside it: a
// verdict says nothing about that.
func nowWordOf(recipients []quarantine.Recipient, mixed string, words map[string]string) string {
	state, worst, hands := spool.State(""), "", 0
	for _, r := range recipients {
		if state != "" && r.State != state {
			return mixed
		}
		state = r.State
		if now := verdictWord(r); now == byHand {
			hands++
		} else if gravity(now) > gravity(worst) {
			worst = now
		}
	}
	word := words[worst]
	switch {
	case state != spool.Held || word == "" && hands == 0:
		return string(state)
	case word == "":
		return words[byHand]
	case hands > 0:
		return word + ", " + thousands(hands) + " by hand"
	}
	return word
}

// verdictWord is what would become of a held recipient.
func verdictWord(r quarantine.Recipient) string {
	if r.Now == "refuse" && isRefusal(r.Codes) {
		return refused
	}
	return r.Now
}

// gravestFirst puts the recipient that NOW is about where TO and FINDING are read off.
func gravestFirst(recipients []quarantine.Recipient) []quarantine.Recipient {
	return slices.SortedStableFunc(slices.Values(recipients), func(a, b quarantine.Recipient) int {
		return weight(b) - weight(a)
	})
}

func weight(r quarantine.Recipient) int {
	if r.Now == byHand {
		return 1 // of what is held, the last
	}
	if g := gravity(verdictWord(r)); g >= 0 {
		return 2 + g
	}
	return 0
}

// gravity orders verdicts as the gateway does: the gravest of several is shown.
func gravity(now string) int {
	return slices.Index([]string{"pass", byHand, "unknown", "foreign", refused, "refuse"}, now)
}
