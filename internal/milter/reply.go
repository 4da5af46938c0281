package milter

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/emersion/go-milter"

	"mailgate/internal/gate"
)

// maxReply is the length of a reply line without CRLF (RFC 5321 4.5.3.1.5 allows
// 510 octets), counted before the MTA undoes the doubling of percent signs.
const maxReply = 500

// internalFault answers for what went wrong here.
func internalFault() *gate.Reply {
	return &gate.Reply{Code: 451, Enhanced: "4.7.1", Text: "mailgate can't handle this message now, try again later"}
}

// noRoom answers for a message that had to be kept and could not be.
func noRoom() *gate.Reply {
	return &gate.Reply{Code: 452, Enhanced: "4.3.1", Text: "mailgate can't store this message now, try again later"}
}

// noStore answers for a question to the store that had no answer.
func noStore() *gate.Reply {
	return &gate.Reply{Code: 451, Enhanced: "4.3.0", Text: "mailgate can't reach its store now, try again later"}
}

var enhancedCode = regexp.MustCompile(`^[45]\.[0-9]{1,3}\.[0-9]{1,3}$`)

// replyCode is the SMFIR_REPLYCODE response for r. A reply that MTAs would refuse
// to pass on becomes a temporary one.
func replyCode(r *gate.Reply) milter.Response {
	return milter.NewResponseStr(byte(milter.ActReplyCode), replyLine(r))
}

// replyLine gives one line of printable ASCII, with percent signs doubled: MTAs
// take it for a format.
func replyLine(r *gate.Reply) string {
	code, enhanced := r.Code, r.Enhanced
	if code < 400 || code > 599 {
		code, enhanced = 451, "4.7.1"
	}
	if !enhancedCode.MatchString(enhanced) || int(enhanced[0]-'0') != code/100 {
		enhanced = fmt.Sprintf("%d.0.0", code/100)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%d %s ", code, enhanced)
	for _, c := range r.Text {
		switch {
		case line.Len() >= maxReply-1:
			return line.String()
		case c == '%':
			line.WriteString("%%")
		case c >= ' ' && c <= '~':
			line.WriteRune(c)
		case c == '\n' || c == '\t':
			line.WriteByte(' ')
		case c != '\r':
			line.WriteByte('?')
		}
	}
	return line.String()
}
