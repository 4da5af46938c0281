package bounce

import (
	"regexp"
	"strings"
)

// answer is a reply in its wrapping: what a program writes around it.
type answer struct {
	host, ip string
	command  string
	text     string // from the reply's beginning on
	remote   bool   // a receiver said it
}

var (
	saidBy      = regexp.MustCompile(`(?s)\bhost (\S+?) ?\[([0-9A-Fa-f.:]+)\](?::\d+)? (?:said|refused to talk to me):\s*(.*)`)
	inReplyTo   = regexp.MustCompile(`(?s)\(in\s+reply\s+to\s+(?:the\s+)?(.*?)(?:\s+command)?\)`)
	connectTo   = regexp.MustCompile(`\b(?:connect to|connection to|lost connection with|conversation with|was not offered by host|verification failed for|Server certificate not trusted for|Server certificate not verified for|handshake failure with) (\S+?)(?:\[([0-9A-Fa-f.:]+)\])?(?::\d+)?(?:[: ]|$)`)
	whileDoing  = regexp.MustCompile(`\bwhile ((?:sending|receiving|performing) [^;()]*)`)
	eximAfter   = regexp.MustCompile(`(?s)SMTP (?:error|timeout) from remote mail(?:er| server) after (?:pipelined )?(.*?):\s+((?:host \S+ \[|[245]\d\d[ -]).*)`)
	eximHost    = regexp.MustCompile(`(?s)^host (\S+) \[([0-9A-Fa-f.:]+)\](?::\d+)?: ?(.*)`)
	eximClosed  = regexp.MustCompile(`(?:Remote host closed connection in response to|SMTP timeout (?:after|while)|timeout after) (?:pipelined )?([^:;\[]+)`)
	exReturned  = regexp.MustCompile(`(?s)(?:Remote [Ss]erver(?: at (\S+) \(([0-9A-Fa-f.:]+)\))?|Server at (\S+)(?: \(([0-9A-Fa-f.:]+)\))?) returned:? ?['"]?(.*)`)
	exSharp     = regexp.MustCompile(`(?s)(?:^|\s|<)([A-Za-z0-9.-]+\.[A-Za-z]+)? ?#<?#?([245]\d\d[ -].*?|[245]\.\d+\.\d+.*?)(?:##|#SMTP#|>#|$)`)
	qmailSaid   = regexp.MustCompile(`(?s)Remote host said:\s*(.*?)(?:Giving up on (\S+?)\.?\s*)?$`)
	lastTried   = regexp.MustCompile(`\[LastAttemptedServerName=([^\]]*)\](?: ?\[LastAttemptedIP=([0-9A-Fa-f.:]+?)(?::\d+)?\])?`)
	qmailServer = regexp.MustCompile(`\b([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]+:[0-9a-f:]+) (?:does not like|failed after)`)
)

// unwrap finds the reply in what a mail server writes about a try.
func unwrap(text string) answer {
	a := answer{text: text}
	if m := inReplyTo.FindStringSubmatchIndex(text); m != nil {
		a.command = command(text[m[2]:m[3]])
		text = text[:m[0]]
		a.text = text
	}
	said := saidBy.FindStringSubmatch(text)
	switch {
	case said != nil:
		a.host, a.ip, a.text, a.remote = said[1], said[2], said[3], true
	case eximAfter.MatchString(text):
		m := eximAfter.FindStringSubmatch(text)
		a.command, a.text, a.remote = command(m[1]), m[2], true
		if h := eximHost.FindStringSubmatch(m[2]); h != nil {
			a.host, a.ip, a.text = h[1], h[2], h[3]
		}
	case exReturned.MatchString(text):
		m := exReturned.FindStringSubmatch(text)
		a.host, a.ip, a.remote = m[1]+m[3], m[2]+m[4], true
		a.text = strings.TrimRight(strings.TrimSpace(m[5]), "'\"")
	case qmailSaid.MatchString(text):
		m := qmailSaid.FindStringSubmatch(text)
		a.text, a.ip, a.remote = m[1], m[2], true
		if s := qmailServer.FindStringSubmatch(text); s != nil {
			a.ip = s[1]
		}
	default:
		if m := connectTo.FindStringSubmatch(text); m != nil {
			a.host, a.ip = m[1], m[2]
		}
		if m := whileDoing.FindStringSubmatch(text); m != nil {
			a.command = command(m[1])
		}
		if m := eximClosed.FindStringSubmatch(text); m != nil {
			a.command = command(m[1])
		}
	}
	if m := lastTried.FindStringSubmatch(text); m != nil && a.host == "" {
		a.host, a.ip = m[1], m[2]
	}
	return a
}

// command is the SMTP command that was answered, in one spelling.
func command(s string) string {
	low := strings.ToLower(tidy(s))
	for _, c := range [...]struct{ mark, name string }{
		{"end of data", "end of data"}, {"end-of-message", "end of data"}, {"message body", "end of data"}, {"rcpt", "RCPT TO"}, {"mail from", "MAIL FROM"},
		{"mail", "MAIL FROM"}, {"starttls", "STARTTLS"}, {"ehlo", "EHLO"}, {"helo", "EHLO"}, {"lhlo", "LHLO"}, {"data", "DATA"}, {"auth", "AUTH"},
		{"initial", "connection"}, {"connect", "connection"}, {"greeting", "connection"}, {"quit", "QUIT"}, {"end of", "end of data"}, {".", "end of data"},
	} {
		if strings.Contains(low, c.mark) {
			return c.name
		}
	}
	return cut(low, 60)
}

// apply puts an answer into a reading, whose own words it may be.
func (r *Reading) apply(a answer) {
	set := func(to *string, s string) {
		if s != "" {
			*to = s
		}
	}
	set(&r.RemoteHost, a.host)
	set(&r.RemoteIP, a.ip)
	set(&r.Command, a.command)
	reply, ok := parseReply(a.text)
	r.Local = !a.remote && reply.Code < 400 || exchangeOwn(a.text)
	if !ok {
		r.Reply.Text = a.text
		return
	}
	if reply.Enhanced == "" {
		reply.Enhanced = r.Reply.Enhanced
	}
	r.Reply = reply
}
