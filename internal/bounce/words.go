package bounce

import (
	"regexp"
	"strings"
)

// words is what a reply says, in lower case: what rules are matched with.
type words struct {
	text  string // without addresses: dmarc@example.com says nothing of DMARC
	prose string // without URLs and names of hosts, too; empty where the code tells more than one word could
}

var (
	address    = regexp.MustCompile(`[^\s<>()\[\]"',;:?&/]+(?:@|%40)[^\s<>()\[\]"',;:?&/]*`)
	nameOrLink = regexp.MustCompile(`[a-z]+://\S+|[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?:/\S*)?`)
)

func wordsOf(r *Reading) words {
	w := words{text: strings.ToLower(r.Reply.Text)}
	if strings.Contains(w.text, "@") || strings.Contains(w.text, "%40") {
		w.text = address.ReplaceAllString(w.text, "")
	}
	if !aboutDelivery(r.Reply.Enhanced) {
		w.prose = nameOrLink.ReplaceAllString(w.text, "")
	}
	return w
}

// aboutDelivery reports whether an enhanced code says what is wrong with an address, a
// mailbox, the mail system or the route to it (RFC 3463, section 3); those ending in
// .0 don't.
func aboutDelivery(enhanced string) bool {
	return len(enhanced) > 4 && enhanced[2] >= '1' && enhanced[2] <= '4' && enhanced[3] == '.' && enhanced[4:] != "0"
}
