package main

import (
	"fmt"
	"time"

	"mailgate/internal/notice"
	"mailgate/internal/tlspolicy"
)

// announcedBefore is how long before its end an override is announced.
const announcedBefore = 7 * 24 * time.Hour

// endingOverrides are those to be announced in a stretch of time: a week before they
// end, or when they were made, if that was later.
func endingOverrides(all []tlspolicy.Override, since, until time.Time) []notice.Ending {
	var list []notice.Ending
	for _, o := range all {
		if o.Expires.IsZero() {
			continue
		}
		at := o.Expires.Add(-announcedBefore)
		if o.Since.After(at) {
			at = o.Since
		}
		if at.Before(since) || !at.Before(until) {
			continue
		}
		what := o.String()
		if o.Reason != "" {
			what += ": " + o.Reason
		}
		list = append(list, notice.Ending{
			What: fmt.Sprintf("The TLS override for %s (%s)", o.Destination, what), End: o.Expires, Look: lookAtOverride(o.Destination),
		})
	}
	return list
}

// lookAtOverride is the command that shows an override. A pattern has no policy.
func lookAtOverride(destination string) string {
	if _, err := tlspolicy.ParseNextHop(destination); err != nil {
		return "mailgate tls override list"
	}
	return "mailgate tls policy " + shellWord(destination)
}
