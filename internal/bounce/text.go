package bounce

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	quoteMark   = regexp.MustCompile(`^(?:> )+`)
	onlyAddress = regexp.MustCompile(`^\s*[<(]?(?:mailto:)?([^\s<>()"']+@[^\s<>()"':]+\.[A-Za-z0-9-]+)[>)]?(?: ?[<(](?:mailto:)?[^\s<>()]+[>)])*:?\s*$`)
	addressSaid = regexp.MustCompile(`^\s*<([^\s<>]+@[^\s<>]+)>(?: \(expanded from <[^>]*>\))?(?:\.\.\.|:)\s+(.*)$`)
	barelySaid  = regexp.MustCompile(`^\s*([^\s<>:]+@[^\s<>:]+): +([245]\d\d[ -].*)$`)
	namedTo     = regexp.MustCompile(`^\s*\S.*\((?:mailto:)?([^\s()]+@[^\s()]+)\)(?:<[^>]*>)?\s*$`)
	talkingTo   = regexp.MustCompile(`\.\.\. while talking to (\S+?)\.?:\s*$`)
	gaveError   = regexp.MustCompile(`^\s*(\S+\.\S+?)\.? gave this error:\s*(.*)$`)
	rejectedBy  = regexp.MustCompile(`(?i)^\s*(?:message rejected by|remote server|reporting server|remote mta|connecting server):? \s*(\S+\.[A-Za-z][A-Za-z0-9-]*)\.?\s*$`)
	hostAlone   = regexp.MustCompile(`^\s*([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\.[A-Za-z]{2,})\s*$`)
	hostWithIP  = regexp.MustCompile(`^\s*host (\S+) \[([0-9A-Fa-f.:]+)\]\s*:?\s*$`)
	sentCommand = regexp.MustCompile(`^\s*>>> (.*)$`)
	gotReply    = regexp.MustCompile(`^\s*<<< (.*)$`)
	markedReply = regexp.MustCompile(`(?i)(?:\(reason: |reported error: ?'?|status code: ?|^\s*error: ?'?|error code: ?|diagnostic-?code:? ?(?:smtp; ?)?|the response (?:from the remote server )?was: ?|the response was: ?|the error that the other server returned was: ?|server responded with: ?|said: ?|returned: ?'?|returned '|reply(?: was)?: ?|#<?#?)([245]\d\d[ ;-].*)$`)
	fromLine    = regexp.MustCompile(`(?i)^\s*(?:from|sender|return-path|mail from|x-postfix-sender: rfc822;|envelope-from)[:=] *(?:.*<)?([^\s<>"]+@[^\s<>"]+?)>?\s*$`)
	statusField = regexp.MustCompile(`(?im)^\s*(?:Final-Recipient|Diagnostic-Code|Original-Recipient): `)
)

// text reads a bounce's text, or replies, line by line.
type textReader struct {
	base     Reading
	list     []Reading
	now      Reading  // what is known of the next reply
	reply    []string // its lines so far
	size     int      // of these, in bytes
	code     int      // their basic code, once one is seen
	complete bool     // the last line has a code with a space after it
	inReply  bool
	after    string // what ended the search for an address: "" or a host's name
}

// readText finds the replies in text that isn't a log. base is what is known from
// elsewhere. Where there are codes of no reply, or words that a rule knows, there is
// one reading; otherwise one of the text as such, which says that nothing was
// understood.
func readText(block []string, base Reading) []Reading {
	text := strings.Join(block, "\n")
	if statusField.MatchString(text) {
		if list := readStatus(text, base); len(list) > 0 {
			return list
		}
	}
	if base.Event == "" {
		base.Event = eventIn(text)
	}
	t := &textReader{base: base, now: base}
	for _, l := range block {
		for _, part := range strings.Split(breakLines(l), "\n") {
			t.line(quoteMark.ReplaceAllString(part, ""))
		}
	}
	t.end()
	if list := merged(t.list); len(list) > 0 {
		return list
	}
	return []Reading{t.whole(text)}
}

var (
	failedWords  = regexp.MustCompile(`(?i)could not\s+be delivered to one|couldn.t be delivered|delivery has failed|permanent fatal errors|i.ve given up|permanent error|undeliverable|undelivered`)
	delayedWords = regexp.MustCompile(`(?i)delivery is delayed|has not yet been delivered|transient non-fatal|still being retried|delayed mail|delivery to the following recipients has been delayed`)
)

// eventIn tells from a bounce's words for people what became of the message.
func eventIn(text string) Event {
	switch {
	case delayedWords.MatchString(text):
		return Delayed
	case failedWords.MatchString(text):
		return Failed
	}
	return Said
}

func (t *textReader) line(l string) {
	trimmed := strings.TrimSpace(l)
	if from := first(fromLine, l); from != "" && t.now.Sender == "" && !t.inReply {
		t.now.Sender, t.base.Sender = from, from
		for i := range t.list { // the message's header comes after the report
			if t.list[i].Sender == "" {
				t.list[i].Sender = from
			}
		}
		return
	}
	if m := sentCommand.FindStringSubmatch(l); m != nil {
		t.end()
		t.now.Command = command(m[1])
		if m[1] == "." {
			t.now.Command = "end of data"
		}
		return
	}
	if m := gotReply.FindStringSubmatch(l); m != nil {
		t.more(m[1])
		return
	}
	switch {
	case trimmed == "":
		t.end()
	case t.about(l):
	case t.starts(l):
	case t.inReply:
		t.continues(l)
	}
}

// about takes lines that tell about whom or by whom the next reply is.
func (t *textReader) about(l string) bool {
	if m := onlyAddress.FindStringSubmatch(l); m != nil {
		t.end()
		t.now = t.base
		t.now.Recipient = m[1]
		return true
	}
	if m := talkingTo.FindStringSubmatch(l); m != nil {
		t.end()
		t.now.RemoteHost = m[1]
		t.now.Format = Sendmail
		return true
	}
	if m := gaveError.FindStringSubmatch(l); m != nil {
		t.end()
		t.now.RemoteHost = m[1]
		t.now.Format = Exchange
		if m[2] != "" {
			t.more(m[2])
		} else {
			t.inReply = true
		}
		return true
	}
	if m := rejectedBy.FindStringSubmatch(l); m != nil {
		t.end()
		t.now.RemoteHost, t.base.RemoteHost = m[1], m[1]
		for i := range t.list {
			if t.list[i].RemoteHost == "" {
				t.list[i].RemoteHost = m[1]
			}
		}
		return true
	}
	if m := hostWithIP.FindStringSubmatch(l); m != nil {
		t.end()
		t.now.RemoteHost, t.now.RemoteIP = m[1], m[2]
		return true
	}
	if m := namedTo.FindStringSubmatch(l); m != nil && !t.inReply && !startsWithCode(strings.TrimSpace(l)) {
		t.now = t.base
		t.now.Recipient = m[1]
		return true
	}
	if m := hostAlone.FindStringSubmatch(l); m != nil && !t.inReply {
		t.after = m[1]
		return true
	}
	if generating.MatchString(l) {
		t.end()
		t.now.Format, t.base.Format = Exchange, Exchange
		return true
	}
	return false
}

var (
	generating  = regexp.MustCompile(`(?i)^\s*(?:Generating server:|Diagnostic information for administrators)`)
	exLine      = regexp.MustCompile(`(?i)(?:Remote [Ss]erver|Server at \S+).*returned`)
	connectToIP = regexp.MustCompile(`\b(?:connect to|lost connection with|conversation with) \S+\[`)
	eximText    = regexp.MustCompile(`SMTP (?:error|timeout) from remote mail(?:er| server)|Remote host closed connection`)
	localWords  = regexp.MustCompile(`(?i)^\s*(?:Unrouteable address|retry timeout exceeded|all relevant MX|mailbox is full|Connected to \S+ but)`)
	qmailText   = regexp.MustCompile(`Remote host said:|does not like recipient|failed after I sent|Sorry, I (?:wasn't|couldn't)|I'm not going to try again`)
)

// starts begins a reply where a line has one, or words that come before one.
func (t *textReader) starts(l string) bool {
	m := addressSaid.FindStringSubmatch(l)
	if m == nil {
		m = barelySaid.FindStringSubmatch(l)
	}
	if m != nil {
		t.end()
		t.now = t.base
		t.now.Recipient = m[1]
		if t.now.Format == Plain && (strings.Contains(l, "host ") || connectToIP.MatchString(l)) {
			t.now.Format = Postfix
		}
		t.more(m[2])
		return true
	}
	trimmed := strings.TrimSpace(l)
	switch {
	case exLine.MatchString(l):
		t.begin(Exchange)
	case eximText.MatchString(l):
		t.begin(Exim)
	case qmailText.MatchString(l) && !t.inReply:
		t.begin(Qmail)
	case saidBy.MatchString(l) && !t.inReply, connectToIP.MatchString(l) && !t.inReply:
		t.begin(Postfix)
	case connectTo.MatchString(l) && !t.inReply:
		t.end()
	case localWords.MatchString(l):
		t.begin(Exim)
	case startsWithCode(trimmed), bareCode.MatchString(trimmed):
		if t.inReply && t.sameReply(trimmed) {
			return false
		}
		t.end()
	case strings.Contains(l, "#") && exSharp.MatchString(l) && !t.inReply:
		t.begin(Exchange)
		m := exSharp.FindStringSubmatch(l)
		if m[1] != "" {
			t.now.RemoteHost = m[1]
		}
		l = l[strings.Index(l, m[2]):]
		l = strings.TrimRight(strings.ReplaceAll(l, "##", ""), " #")
	case markedReply.MatchString(l) && !t.inReply:
		l = strings.TrimRight(first(markedReply, l), "')")
		if i := strings.Index(l, ";"); i == 3 {
			l = l[:3] + " " + strings.TrimSpace(l[4:])
		}
	default:
		return false
	}
	t.more(l)
	return true
}

func (t *textReader) begin(f Format) {
	t.end()
	if t.after != "" && t.now.RemoteHost == "" && f == Exchange {
		t.now.RemoteHost = t.after
	}
	if t.now.Format == Plain || t.now.Format == "" {
		t.now.Format = f
	}
}

// sameReply reports whether a line that begins with a code goes on with the reply:
// the same code, or no code in it yet, and the line before wasn't its last.
func (t *textReader) sameReply(l string) bool {
	return t.code == 0 || l[:3] == codeOf(t.code) && !t.complete
}

func codeOf(code int) string { return Reply{Code: code}.Codes() }

// Limits of one block of text: lines and bytes of a reply, and replies.
const (
	maxReplyLines = 200
	maxReplySize  = 16 << 10
	maxReplies    = 500
)

// more adds a line to the reply.
func (t *textReader) more(l string) {
	trimmed := strings.TrimSpace(l)
	coded := startsWithCode(trimmed)
	if len(t.reply) > 0 && coded && !t.sameReply(trimmed) {
		t.end()
	}
	t.inReply = true
	if len(t.reply) >= maxReplyLines || t.size > maxReplySize {
		return
	}
	t.reply = append(t.reply, l)
	t.size += len(l)
	t.complete = coded && trimmed[3] == ' '
	if m := replyStart.FindStringSubmatch(l); t.code == 0 && m != nil {
		t.code, _ = strconv.Atoi(m[1])
	}
}

// continues adds a line unless it clearly is something else.
func (t *textReader) continues(l string) {
	trimmed := strings.TrimSpace(l)
	if strings.HasPrefix(trimmed, "Giving up on ") || strings.HasPrefix(trimmed, "-----") || strings.HasPrefix(trimmed, "--- ") {
		t.end()
		return
	}
	if t.complete && t.now.Format == Sendmail { // what comes now is sendmail's own
		t.end()
		return
	}
	t.more(l)
}

// end makes a reading of the reply, if there is one.
func (t *textReader) end() {
	if !t.inReply || len(t.reply) == 0 || len(t.list) >= maxReplies {
		t.reply, t.inReply, t.size, t.code, t.complete = nil, false, 0, 0, false
		return
	}
	joined := strings.Join(t.reply, "\n")
	if i := strings.Index(joined, "##"); i > 0 {
		joined = joined[:i]
	}
	t.reply, t.inReply, t.after = nil, false, ""
	t.size, t.code, t.complete = 0, 0, false
	r := t.now
	r.Raw = joined
	r.Event = t.base.Event
	a := unwrap(joined)
	host, ip := r.RemoteHost, r.RemoteIP
	r.apply(a)
	if a.host == "" && host != "" {
		r.RemoteHost, r.RemoteIP = host, ip
	}
	if r.Reply.Code > 0 && r.Reply.Code < 400 {
		return
	}
	if r.Reply.Code == 0 && r.Reply.Enhanced == "" {
		probe := r
		probe.finish()
		if probe.Meaning.Rule == "" {
			return
		}
	}
	t.list = append(t.list, r)
	keep := t.now.Recipient
	host, ip = t.now.RemoteHost, t.now.RemoteIP
	format := t.now.Format
	t.now = t.base
	t.now.Recipient, t.now.RemoteHost, t.now.RemoteIP, t.now.Format = keep, host, ip, format
}

// whole is the reading of a text in which no reply stands.
func (t *textReader) whole(text string) Reading {
	r := t.base
	r.Raw, r.Event = text, t.base.Event
	r.apply(unwrap(cut(text, maxText)))
	if r.Recipient == "" {
		r.Recipient = t.now.Recipient
	}
	if r.Reply.Enhanced != "" {
		r.Local = false
	}
	return r
}

// merged puts together what a bounce says twice: in words and as a transcript, for
// people and for administrators.
func merged(list []Reading) []Reading {
	var kept []Reading
	for _, r := range list {
		if i := twin(kept, &r); i >= 0 {
			kept[i] = both(kept[i], r)
			continue
		}
		kept = append(kept, r)
	}
	if len(kept) > 1 { // what sendmail makes of a reply isn't another
		var told []Reading
		for _, r := range kept {
			if !(r.Format == Sendmail && strings.HasSuffix(r.Reply.Enhanced, ".0.0")) {
				told = append(told, r)
			}
		}
		if len(told) > 0 {
			kept = told
		}
	}
	return kept
}

// twin finds a reading of the same reply to the same recipient.
func twin(list []Reading, r *Reading) int {
	for i := range list {
		k := &list[i]
		sameTo := k.Recipient == "" || r.Recipient == "" || strings.EqualFold(k.Recipient, r.Recipient)
		sameCode := k.Reply.Code == r.Reply.Code && (k.Reply.Enhanced == r.Reply.Enhanced || k.Reply.Enhanced == "" || r.Reply.Enhanced == "")
		if sameTo && sameCode && sameStart(k.Reply.Text, r.Reply.Text) && (k.Recipient != "" || r.Recipient != "" || k.Reply.Text == r.Reply.Text || k.Format == r.Format && k.Format != Plain) {
			return i
		}
	}
	return -1
}

func sameStart(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	n := min(len(a), len(b), 30)
	return a[:n] == b[:n]
}

// both is the fuller of two readings of one reply, with what only the other knows.
func both(a, b Reading) Reading {
	if len(b.Reply.Text) > len(a.Reply.Text) || b.Reply.Enhanced != "" && a.Reply.Enhanced == "" {
		a, b = b, a
	}
	for _, f := range [...]struct{ to, from *string }{
		{&a.Recipient, &b.Recipient}, {&a.RemoteHost, &b.RemoteHost}, {&a.RemoteIP, &b.RemoteIP}, {&a.Command, &b.Command}, {&a.Sender, &b.Sender},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if a.Format == Plain {
		a.Format = b.Format
	}
	return a
}
