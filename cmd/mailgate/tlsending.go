package main

import (
	"fmt"

	"mailgate/internal/notice"
	"mailgate/internal/tlspolicy"
)

// announcements are overrides that end soon, for the digest.
func announcements(soon []tlspolicy.Override) []notice.Ending {
	var list []notice.Ending
	for _, o := range soon {
		what := o.String()
		if o.Reason != "" {
			what += ": " + o.Reason
		}
		list = append(list, notice.Ending{
			Name: "TLS override " + o.Destination,
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
