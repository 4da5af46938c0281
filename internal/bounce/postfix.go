package bounce

import (
	"regexp"
	"strings"
)

var (
	postfixID     = regexp.MustCompile(`^([0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,}): `)
	postfixTo     = regexp.MustCompile(`\bto=<([^>]*)>`)
	postfixFrom   = regexp.MustCompile(`\bfrom=<([^>]*)>`)
	postfixRelay  = regexp.MustCompile(`\brelay=([^\[,\s]+)(?:\[([0-9A-Fa-f.:]+)\])?(?::\d+)?`)
	postfixDSN    = regexp.MustCompile(`\bdsn=([245]\.\d+\.\d+)`)
	postfixStatus = regexp.MustCompile(`(?s)\bstatus=(\w+) \((.*)`)
	postfixReject = regexp.MustCompile(`(?s)(?:NOQUEUE|[0-9A-Za-z]+): (?:milter-)?reject: (\S+) from (\S*?)\[([0-9A-Fa-f.:]+|unknown)\](?::\d+)?: (.*)`)
	postfixTLS    = regexp.MustCompile(`TLS connection established to (\S+?)\[[^\]]*\](?::\d+)?: (?:TLSv?|SSLv)(\d[\d.]*)`)
)

func (m *memory) readPostfix(l line) ([]Reading, bool) {
	id := ""
	if found := postfixID.FindStringSubmatch(l.text); found != nil {
		id = found[1]
	}
	if tls := postfixTLS.FindStringSubmatch(l.text); tls != nil {
		m.sessions.put(sessionKey(l, tls[1]), "TLS"+tls[2])
		return nil, false
	}
	status := postfixStatus.FindStringSubmatch(l.text)
	if status == nil {
		if reject := postfixReject.FindStringSubmatch(l.text); reject != nil {
			return []Reading{postfixRejected(id, reject)}, false
		}
		if from := postfixFrom.FindStringSubmatch(l.text); from != nil && id != "" {
			m.sentBy(id, angled(from[1]))
		}
		return nil, false
	}
	r := Reading{Format: Postfix, QueueID: id, Recipient: first(postfixTo, l.text), Event: Failed}
	switch status[1] {
	case "sent", "deliverable", "expanded":
		return nil, true
	case "deferred", "undeliverable":
		r.Event = Delayed
	}
	head := l.text[:strings.Index(l.text, status[0])]
	if relay := postfixRelay.FindStringSubmatch(head); relay != nil && relay[1] != "none" {
		r.RemoteHost, r.RemoteIP = relay[1], relay[2]
		if tls, ok := m.sessions.get(sessionKey(l, relay[1])); ok {
			r.TLS = tls
		}
	}
	if from := first(postfixFrom, head); from != "" {
		r.Sender = from
	}
	r.Reply.Enhanced = first(postfixDSN, head)
	r.apply(unwrap(strings.TrimSuffix(strings.TrimSpace(status[2]), ")") + closing(status[2])))
	return []Reading{r}, false
}

// closing gives back the parenthesis of "(in reply to …)" where the outer one is
// missing.
func closing(s string) string {
	if strings.Count(s, "(") >= strings.Count(s, ")") {
		return ")"
	}
	return ""
}

// postfixRejected is for what our own Postfix refused to a client.
func postfixRejected(id string, m []string) Reading {
	r := Reading{Format: Postfix, QueueID: id, Event: Rejected, Command: command(m[1]), RemoteHost: m[2], RemoteIP: m[3]}
	if r.RemoteHost == "unknown" {
		r.RemoteHost = ""
	}
	said, rest := m[4], ""
	if i := strings.LastIndex(said, "; from=<"); i >= 0 {
		said, rest = said[:i], said[i:]
	}
	r.Sender, r.Recipient = first(postfixFrom, rest), first(postfixTo, rest)
	if from := postfixFrom.FindStringSubmatch(rest); from != nil {
		r.Sender = angled(from[1])
	}
	r.apply(answer{text: said, remote: true})
	return r
}

func first(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// angled writes the null sender as it is known.
func angled(address string) string {
	if address == "" {
		return "<>"
	}
	return address
}
