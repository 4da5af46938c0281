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
	o := outcome{ID: t.id, Result: b.done, DryRun: true}
	if t.message == nil {
		o.Result = resultNotFound
		return o
	}
	to := t.recipients(spool.Held)
	o.To = addressesOf(to)
	o.summary = t.summary(to)
	switch now := verdictOn(to); {
	case len(t.recipients("")) < len(t.to):
		o.Result = resultNotFound
	case len(to) == 0, len(to) < len(t.to):
		o.Result = resultMoved
	case b.done == resultDiscarded || b.order.Anyway || now == "pass":
	case now == "unknown":
		o.Result = resultWaiting
	case now == "foreign":
		o.Result = resultForeign
	default:
		o.Result = resultRefused
	}
	return o
}

// recipients are those of a message looked at that are meant and in a state; empty:
// in any.
func (t target) recipients(in spool.State) []quarantine.Recipient {
	var list []quarantine.Recipient
	for _, r := range t.message.Recipients {
		is := func(to string) bool { return strings.EqualFold(to, r.Address) }
		if (in == "" || r.State == in) && (len(t.to) == 0 || slices.ContainsFunc(t.to, is)) {
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
func (t target) summary(to []quarantine.Recipient) string {
	s := plain(t.message.From, 60) + " -> " + plain(summaryTo(to), 60)
	if held := len((target{message: t.message}).recipients(spool.Held)); len(to) < held {
		s += fmt.Sprintf(" (%s of %s held)", thousands(len(to)), thousands(held))
	}
	return s
}

// verdictOn is what a release of some recipients would meet: the first that
// wouldn't pass keeps all of them back.
func verdictOn(to []quarantine.Recipient) string {
	now := ""
	for _, r := range to {
		if now = r.Now; now != "pass" {
			break
		}
	}
	return now
}
