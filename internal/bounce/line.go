package bounce

import (
	"regexp"
	"strings"
)

// line is a log line without its time.
type line struct {
	program string // "postfix/smtp"; empty where the line doesn't tell
	pid     string
	text    string
	dated   bool
	raw     string
}

var (
	syslogTime = regexp.MustCompile(`^(?:<\d{1,3}>)?(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?) +(?:\S+ +)?([\w./-]+)(?:\[(\d+)\])?: ?`)
	eximTime   = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?(?: \[(\d+)\])? `)
	bareTag    = regexp.MustCompile(`^((?:postfix|sendmail|sm-mta|exim|qmail)[\w./-]*)(?:\[(\d+)\])?: `)
	anyTime    = regexp.MustCompile(`^(?:<\d{1,3}>)?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|@4000[0-9a-f]{20} )`)
	tai64n     = regexp.MustCompile(`^@4000[0-9a-f]{20} `)
)

// logLine takes the time, host and program off a log line.
func logLine(s string) line {
	l := line{raw: s, text: strings.TrimSpace(s)}
	if m := syslogTime.FindStringSubmatchIndex(l.text); m != nil {
		l.program, l.dated = l.text[m[2]:m[3]], true
		if m[4] >= 0 {
			l.pid = l.text[m[4]:m[5]]
		}
		l.text = l.text[m[1]:]
		return l
	}
	if m := eximTime.FindStringSubmatchIndex(l.text); m != nil {
		l.dated = true
		if m[2] >= 0 {
			l.pid = l.text[m[2]:m[3]]
		}
		l.text = l.text[m[1]:]
		return l
	}
	if m := bareTag.FindStringSubmatchIndex(l.text); m != nil {
		l.program = l.text[m[2]:m[3]]
		if m[4] >= 0 {
			l.pid = l.text[m[4]:m[5]]
		}
		l.text = l.text[m[1]:]
		return l
	}
	if at := tai64n.FindString(l.text); at != "" {
		l.dated, l.text = true, l.text[len(at):]
		return l
	}
	l.dated = anyTime.MatchString(l.text)
	return l
}

// known reports whether it is a log line, of whatever program.
func (l line) known() bool { return l.dated || l.program != "" || l.format() != "" }

// format tells by a few words who wrote the line; cheap, as most lines of a log are
// of no interest. Empty: nobody whose lines tell what became of mail.
func (l line) format() Format {
	t := l.text
	has := func(s string) bool { return strings.Contains(t, s) }
	switch {
	case strings.HasPrefix(l.program, "postfix"), has(" status=") && has(" dsn="), has("status=bounced ("), has("status=deferred ("),
		has(": reject: "), has("milter-reject: "):
		return Postfix
	case has(" stat=") && has("to="), strings.HasPrefix(t, "stat=") && has(", "), strings.Contains(l.program, "sendmail"), strings.HasPrefix(l.program, "sm-mta"), has("ruleset=check_"):
		return Sendmail
	case has("verdict=") && (has("id=") || has("level=")), strings.HasPrefix(t, "{") && has(`"verdict":`):
		return Mailgate
	case has("{LED="):
		return Exchange
	case qmailDelivery.MatchString(t):
		return Qmail
	case eximLine(t), strings.HasPrefix(l.program, "exim"):
		return Exim
	}
	return ""
}
