package main

import (
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// foretell says what would become of a message, by what is known of DNS now.
func (b *bulk) foretell(t target) outcome {
	o := outcome{ID: t.id, Result: b.verb.done, DryRun: true, stays: b.verb.in}
	if t.message == nil {
		o.Result = resultNotFound
		return o
	}
	to := t.recipients(b.verb.takes)
	o.To = addressesOf(to)
	o.summary = t.summary(to, b.verb)
	switch now := verdictOn(to); {
	case len(t.recipients(anyState)) < len(t.to):
		o.Result = resultNotFound
	case len(to) == 0, len(to) < len(t.to):
		o.Result = resultMoved
	case b.verb.done != resultReleased || b.order.Anyway || now == "pass":
	case now == "unknown":
		o.Result = resultWaiting
	case now == "foreign":
		o.Result = resultForeign
	default:
		o.Result = resultRefused
	}
	return o
}

func anyState(quarantine.Recipient) bool { return true }

// recipients are those of a message looked at that are meant and fit.
func (t target) recipients(fit func(quarantine.Recipient) bool) []quarantine.Recipient {
	var list []quarantine.Recipient
	for _, r := range t.message.Recipients {
		is := func(to string) bool { return strings.EqualFold(to, r.Address) }
		if fit(r) && (len(t.to) == 0 || slices.ContainsFunc(t.to, is)) {
			list = append(list, r)
		}
	}
	return list
}

func addressesOf(recipients []quarantine.Recipient) []string {
	var list []string
	for _, r := range recipients {
		list = append(list, r.Address)
	}
	return list
}

// summary is a message and those of its recipients that are meant, in one line.
func (t target) summary(to []quarantine.Recipient, v verb) string {
	s := plain(t.message.From, 60) + " -> " + plain(summaryTo(to), 60)
	if all := len((target{message: t.message}).recipients(v.takes)); len(to) < all {
		s += fmt.Sprintf(" (%s of %s %s)", thousands(len(to)), thousands(all), v.in)
	}
	return s
}

// verdictOn is what a release of some recipients would meet: the first that
// wouldn't pass keeps all of them back. What is held by hand is judged only then.
func verdictOn(to []quarantine.Recipient) string {
	now := ""
	for _, r := range to {
		if r.Now == string(spool.ByHand) {
			now = "pass"
			continue
		}
		if now = r.Now; now != "pass" {
			break
		}
	}
	return now
}
