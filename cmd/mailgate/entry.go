package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// printEntry prints one entry of the review log. What doesn't fit on the screen goes
// on further lines: nothing of it is cut.
func printEntry(out io.Writer, e quarantine.Entry, screen int) {
	head := fmt.Sprintf("%s  %s  %s", e.Time.Local().Format(time.DateTime), pad(e.ID, 5), pad(string(e.Action), 7))
	rest := plain(entryWords(e), 0)
	if screen == 0 || cells(head)+2+cells(rest) <= screen {
		fmt.Fprintln(out, strings.TrimRight(head+"  "+rest, " "))
		return
	}
	fmt.Fprintln(out, strings.TrimRight(head, " "))
	const indent = "    "
	for _, line := range wrap(rest, max(screen-len(indent), 20)) {
		fmt.Fprintln(out, indent+line)
	}
}

// entryWords is whom it was about, who did it, why and with what result.
func entryWords(e quarantine.Entry) string {
	var words []string
	for _, w := range []string{e.Reason, strings.Join(e.Codes, " ")} {
		if w != "" {
			words = append(words, w)
		}
	}
	switch {
	case e.Action == spool.ActionOverride:
		words = append(words, "set to "+e.Verdict)
	case e.Action == spool.ActionRotate: // the reason has it in words
	case isRefusal(e.Codes): // an answer and no prediction
	case e.Verdict != "":
		words = append(words, "predicted "+e.Verdict)
	}
	if e.Where != "" {
		words = append(words, "-> "+e.Where)
	}
	line := strings.TrimSpace(e.Recipient + "  by " + e.Actor)
	if len(words) > 0 {
		line += ": " + strings.Join(words, "; ")
	}
	return line
}

const shortLog = 5 // entries shown of a message's review log

func printShortLog(out io.Writer, d quarantine.Detail, screen int) {
	if len(d.Log) == 0 {
		return
	}
	more := len(d.Log) - shortLog
	switch {
	case d.LogNext != 0:
		fmt.Fprintf(out, "\nReview log, the last %d of %s entries or more (all: --log)\n", shortLog, thousands(len(d.Log)))
	case more > 0:
		fmt.Fprintf(out, "\nReview log, the last %d of %s entries (all: --log)\n", shortLog, thousands(len(d.Log)))
	default:
		fmt.Fprintln(out, "\nReview log")
	}
	for _, e := range d.Log[max(0, more):] {
		printEntry(out, e, screen)
	}
}
