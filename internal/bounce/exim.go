package bounce

import (
	"regexp"
	"strings"
)

const eximID = `(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4})`

var (
	eximStart    = regexp.MustCompile(`^(?:\[\d+\] )?(` + eximID + `) (\*\*|==|=>|->|>>|\*>|<=|\S+)`)
	eximNoID     = regexp.MustCompile(`^(\*\*|==) \S+@\S+`)
	eximRejected = regexp.MustCompile(`(?s)^(?:\[\d+\] )?(?:` + eximID + ` )?H=(?:\(?\S+\)? )*?\[([0-9A-Fa-f.:]+)\].*?(?:F=<([^>]*)>.*?)?(?:temporarily )?rejected (?:after |during )?(\S+)(?: <?([^\s>]*)>?)?: (.*)`)
	eximHostOf   = regexp.MustCompile(` H=(\S+) (?:\(\S+\) )?\[([0-9A-Fa-f.:]+)\]`)
	eximTail     = regexp.MustCompile(` H=(\S+) \[([0-9A-Fa-f.:]+)\](?::\d+)?$`)
	eximTLSOf    = regexp.MustCompile(` X=(?:TLS|SSL)v?(\d[\d.]*)`)
	eximSenderOf = regexp.MustCompile(` (?:F|P|S)=<([^>]*)>`)
	eximOurs     = regexp.MustCompile(` I=\[([0-9A-Fa-f.:]+)\]`)
	eximItem     = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*=(?:"(?:[^"\\]|\\.)*"|\S*)`)
	eximDefer    = regexp.MustCompile(`^defer \(-?\d+\)`)
	eximAddress  = regexp.MustCompile(`^\[[^\]]*\](?::\d+)?`)
)

// eximLine reports whether a text is a line of Exim's main or reject log.
func eximLine(t string) bool {
	if eximNoID.MatchString(t) {
		return true
	}
	if m := eximStart.FindStringSubmatch(t); m != nil {
		return true
	}
	return strings.HasPrefix(t, "H=") && strings.Contains(t, "rejected ")
}

func (m *memory) readExim(l line) ([]Reading, bool) {
	t := l.text
	if i := strings.Index(t, "["); i == 0 {
		_, t, _ = strings.Cut(t, "] ")
	}
	r := Reading{Format: Exim}
	if start := eximStart.FindStringSubmatch(t); start != nil {
		r.QueueID = start[1]
		t = strings.TrimPrefix(t, start[1]+" ")
	}
	mark, rest, _ := strings.Cut(t, " ")
	switch mark {
	case "=>", "->", ">>", "*>":
		return nil, true
	case "<=":
		sender, _, _ := strings.Cut(rest, " ")
		m.sentBy(r.QueueID, sender)
		return nil, false
	case "**":
		r.Event = Failed
	case "==":
		r.Event = Delayed
	default:
		return eximOther(r, t)
	}
	eximDelivery(&r, rest)
	return []Reading{r}, false
}

// eximDelivery takes an address and its items apart, up to the words of what
// happened.
func eximDelivery(r *Reading, rest string) {
	address, items, _ := strings.Cut(rest, " ")
	r.Recipient = strings.TrimSuffix(address, ":")
	if strings.HasSuffix(address, ":") { // "** x@y: Unrouteable address"
		r.apply(unwrap(breakLines(items)))
		return
	}
	if original, after, ok := strings.Cut(items, "> "); ok && strings.HasPrefix(items, "<") {
		if r.Recipient == "" || !strings.Contains(r.Recipient, "@") {
			r.Recipient = original
		}
		items = after
	} else if strings.HasPrefix(items, "<") {
		original, after, _ := strings.Cut(items, ">")
		_, items = original, after
	}
	items, words := eximItems(items)
	if h := eximHostOf.FindStringSubmatch(items); h != nil {
		r.RemoteHost, r.RemoteIP = h[1], h[2]
	}
	if tls := first(eximTLSOf, items); tls != "" {
		r.TLS = "TLS" + tls
	}
	if from := eximSenderOf.FindStringSubmatch(items); from != nil {
		r.Sender = angled(from[1])
	}
	if h := eximTail.FindStringSubmatchIndex(words); h != nil && r.RemoteHost == "" {
		r.RemoteHost, r.RemoteIP, words = words[h[2]:h[3]], words[h[4]:h[5]], words[:h[0]]
	}
	ours := first(eximOurs, items)
	r.apply(unwrap(breakLines(words)))
	if ours != "" {
		r.OurIP = ours
	}
}

// eximItems separates "R=… T=… H=host [address] X=…" from the words after the colon.
func eximItems(s string) (items, words string) {
	rest := strings.TrimLeft(s, " ")
	for rest != "" {
		token := eximItem.FindString(rest)
		if token == "" {
			token = eximDefer.FindString(rest)
		}
		if token == "" {
			return items, strings.TrimLeft(strings.TrimPrefix(rest, ":"), " ")
		}
		rest = rest[len(token):]
		ended := strings.HasSuffix(token, ":")
		items += " " + strings.TrimSuffix(token, ":")
		if ended {
			break
		}
		rest = strings.TrimLeft(rest, " ")
		if address := eximAddress.FindString(rest); address != "" && strings.HasPrefix(token, "H=") {
			items += " " + address
			rest = strings.TrimLeft(rest[len(address):], " ")
		}
		if strings.HasPrefix(rest, ":") {
			rest = rest[1:]
			break
		}
	}
	return items, strings.TrimSpace(rest)
}

// eximOther is for lines about a host, and for refusals to clients.
func eximOther(r Reading, t string) ([]Reading, bool) {
	if m := eximRejected.FindStringSubmatch(t); m != nil {
		r.Event, r.RemoteIP, r.Sender, r.Command, r.Recipient = Rejected, m[1], m[2], command(m[3]), m[4]
		r.Reply.Text = breakLines(m[5])
		return []Reading{r}, false
	}
	if strings.HasPrefix(t, "SMTP error from remote mail server after") || strings.Contains(t, " SMTP error from remote mail") {
		r.Event = Delayed
		if h := eximHostOf.FindStringSubmatch(" " + t); h != nil {
			r.RemoteHost, r.RemoteIP = h[1], h[2]
		}
		r.apply(unwrap(breakLines(t)))
		return []Reading{r}, false
	}
	return nil, false
}
