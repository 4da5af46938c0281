package bounce

import (
	"regexp"
	"strings"
)

var qmailDelivery = regexp.MustCompile(`^(?:\d+\.\d+ )?delivery (\d+): (success|failure|deferral): (.*)`)

// readQmailLog reads a line of qmail-send, which writes spaces as "_" and line ends
// as "/".
func readQmailLog(l line) ([]Reading, bool) {
	m := qmailDelivery.FindStringSubmatch(l.text)
	if m == nil {
		return nil, false
	}
	if m[2] == "success" {
		return nil, true
	}
	r := Reading{Format: Qmail, QueueID: "delivery " + m[1], Event: Failed}
	if m[2] == "deferral" {
		r.Event = Delayed
	}
	r.apply(unwrap(qmailWords(m[3])))
	return []Reading{r}, false
}

var qmailBreak = regexp.MustCompile(`/(Remote_host_said|Giving_up_on|[245]\d\d[-_]|$)`)

func qmailWords(s string) string {
	s = qmailBreak.ReplaceAllString(s, "\n$1")
	return strings.ReplaceAll(s, "_", " ")
}
