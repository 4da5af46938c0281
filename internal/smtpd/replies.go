package smtpd

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/emersion/go-smtp"

	"mailgate/internal/gate"
)

// maxReply is the length of a reply line without CRLF (RFC 5321 4.5.3.1.5 allows
// 510 octets).
const maxReply = 500

// Write implements net.Conn for the library: whole reply lines go to the client,
// reworded where the library's own words would mislead.
func (c *conn) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, whole := bytes.Cut(p, []byte("\n"))
		c.reply = append(c.reply, part...)
		if !whole {
			return n, nil
		}
		c.replyLine(strings.TrimSuffix(string(c.reply), "\r"))
		c.reply, p = c.reply[:0], rest
	}
}

// replyLine takes one line of a reply. A failure to send shows at the next read.
func (c *conn) replyLine(line string) {
	if len(line) < 4 || c.said {
		return
	}
	last := line[3] == ' '
	c.in334 = strings.HasPrefix(line, "334 ")
	if c.mute || c.chunk.taken && strings.HasPrefix(line, "354 ") {
		c.mute = c.mute && !last
		return
	}
	if last && line[0] >= '4' {
		c.errors++
	}
	fmt.Fprintf(c.out, "%s\r\n", printable(c.reword(line), maxReply))
}

// reword repeats nothing that the client said, says which limit holds, and calls a
// bad sequence of commands one (RFC 5321 section 4.2.2).
func (c *conn) reword(line string) string {
	_, text, _ := strings.Cut(line, "Hello ")
	switch {
	case c.verb == "EHLO" && line == "250 SIZE":
		return fmt.Sprintf("250 SIZE %d", c.server.Limits.Size)
	case c.verb == "EHLO" && text != "", c.verb == "HELO" && text != "":
		return line[:4] + string(c.server.Name)
	case c.verb == "MAIL" && strings.HasPrefix(line, "250 "):
		return "250 2.1.0 sender ok"
	case c.verb == "RCPT" && strings.HasPrefix(line, "250 "):
		return "250 2.1.5 recipient ok"
	case strings.HasPrefix(line, "500 5.5.1 Too many errors"):
		return "421 4.7.0 too many errors"
	case c.verb != "" && strings.HasPrefix(line, "502 5.5.1 ") && !strings.HasSuffix(line, "not implemented"):
		return "503" + line[3:]
	}
	return line
}

// say answers in the library's place.
func (c *conn) say(code int, enhanced, text string) {
	if code >= 400 {
		c.errors++
	}
	fmt.Fprintf(c.out, "%d %s %s\r\n", code, enhanced, text)
}

// answer is a reply as the library takes it: an error, even where it is none. The
// library makes a permanent refusal of every other error. The text becomes one
// line of printable ASCII.
func answer(code int, enhanced, format string, args ...any) *smtp.SMTPError {
	e := &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}}
	if enhancedCode.MatchString(enhanced) && int(enhanced[0]-'0') == code/100 {
		fmt.Sscanf(enhanced, "%d.%d.%d", &e.EnhancedCode[0], &e.EnhancedCode[1], &e.EnhancedCode[2])
	}
	e.Message = printable(fmt.Sprintf(format, args...), maxReply-len("550 5.7.26 "))
	return e
}

var enhancedCode = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)

// fromGate is the gate's refusal. What is none becomes a temporary one.
func fromGate(r *gate.Reply) *smtp.SMTPError {
	code, enhanced := r.Code, r.Enhanced
	if code < 400 || code > 599 {
		code, enhanced = 451, "4.7.1"
	}
	return answer(code, enhanced, "%s", r.Text)
}

// printable keeps what can stand in a reply, at most limit bytes.
func printable(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case b.Len() >= limit:
			return b.String()
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r != '\r':
			b.WriteByte('?')
		}
	}
	return b.String()
}

// replyText is a reply as the log shows it.
func replyText(e *smtp.SMTPError) string {
	c := e.EnhancedCode
	return fmt.Sprintf("%d %d.%d.%d %s", e.Code, c[0], c[1], c[2], e.Message)
}

// internalFault answers for what went wrong here.
func internalFault() *smtp.SMTPError {
	return answer(451, "4.3.0", "mailgate can't handle this message now, try again later")
}
