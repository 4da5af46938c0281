package bounce

import (
	"regexp"
	"strings"
)

var (
	sendmailID     = regexp.MustCompile(`^([0-9A-Za-z]{12,20}): `)
	sendmailTo     = regexp.MustCompile(`\bto=(.*?)(?:, (?:ctladdr|delay|xdelay|mailer|pri|relay|dsn|reply|stat|class|ntries|tls_verify)=|$)`)
	sendmailFrom   = regexp.MustCompile(`\bfrom=(<[^>]*>|[^,\s]*)`)
	sendmailBy     = regexp.MustCompile(`\bctladdr=(<[^>]*>|[^,\s]+)`)
	sendmailRelay  = regexp.MustCompile(`\brelay=([^\s,\[]*)(?: ?\[([0-9A-Fa-f.:]+)\])?`)
	sendmailDSN    = regexp.MustCompile(`\bdsn=([245]\.\d+\.\d+)`)
	sendmailReply  = regexp.MustCompile(`\breply=(.*?)(?:, stat=|$)`)
	sendmailStat   = regexp.MustCompile(`\bstat=(.*)$`)
	sendmailTLS    = regexp.MustCompile(`STARTTLS=client, relay=([^,\s]+), version=(?:TLSv?|SSLv)(\d[\d.]*)`)
	sendmailReject = regexp.MustCompile(`ruleset=check_(\w+), arg1=(\S*?), (?:arg2=\S+, )?relay=(\S*?)(?: ?\[([0-9A-Fa-f.:]+)\])?(?: \([^)]*\))?, reject=(.*)$`)
)

func (m *memory) readSendmail(l line) ([]Reading, bool) {
	id, t := "", l.text
	if found := sendmailID.FindStringSubmatch(t); found != nil {
		id = found[1]
	}
	if tls := sendmailTLS.FindStringSubmatch(t); tls != nil {
		m.sessions.put(sessionKey(l, tls[1]), "TLS"+tls[2])
		return nil, false
	}
	if reject := sendmailReject.FindStringSubmatch(t); reject != nil {
		return []Reading{sendmailRejected(id, reject)}, false
	}
	stat := sendmailStat.FindStringSubmatch(t)
	if stat == nil {
		if from := sendmailFrom.FindStringSubmatch(t); from != nil && id != "" {
			m.sentBy(id, angled(bareAddress(from[1])))
		}
		return nil, false
	}
	if strings.HasPrefix(stat[1], "Sent") || strings.HasPrefix(stat[1], "queued") {
		return nil, true
	}
	r := Reading{Format: Sendmail, QueueID: id, Event: Failed, Sender: bareAddress(first(sendmailBy, t))}
	if to, _, _ := strings.Cut(first(sendmailTo, t), ","); to != "" {
		r.Recipient = bareAddress(to)
	}
	if relay := sendmailRelay.FindStringSubmatch(t); relay != nil {
		r.RemoteHost, r.RemoteIP = relay[1], relay[2]
		if tls, ok := m.sessions.get(sessionKey(l, relay[1])); ok {
			r.TLS = tls
		}
	}
	r.Reply.Enhanced = first(sendmailDSN, t)
	if strings.HasPrefix(stat[1], "Deferred") || strings.HasPrefix(r.Reply.Enhanced, "4.") {
		r.Event = Delayed
	}
	r.sendmailWords(stat[1], first(sendmailReply, t))
	return []Reading{r}, false
}

// sendmailWords takes the receiver's reply, which may stand under reply= or, after
// "Deferred: ", under stat=.
func (r *Reading) sendmailWords(stat, reply string) {
	if reply != "" {
		r.apply(answer{text: reply, remote: true})
		return
	}
	deferred := strings.TrimPrefix(stat, "Deferred: ")
	if startsWithCode(deferred) {
		r.apply(answer{text: deferred, remote: true})
		return
	}
	r.Local = true
	r.Reply.Text = stat
}

var codeFirst = regexp.MustCompile(`^[245][0-5][0-9][ -]`)

func startsWithCode(s string) bool { return codeFirst.MatchString(s) }

func sendmailRejected(id string, m []string) Reading {
	r := Reading{Format: Sendmail, QueueID: id, Event: Rejected, RemoteHost: m[3], RemoteIP: m[4]}
	switch m[1] {
	case "rcpt":
		r.Command, r.Recipient = "RCPT TO", bareAddress(m[2])
	case "mail":
		r.Command, r.Sender = "MAIL FROM", bareAddress(m[2])
	case "relay":
		r.Command = "connection"
	}
	r.apply(answer{text: m[5], remote: true})
	return r
}
