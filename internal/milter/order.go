package milter

import (
	"fmt"

	"github.com/emersion/go-milter"
)

// phase is how far the conversation has come.
type phase int

const (
	negotiated phase = iota // nothing is known of the SMTP client
	connected               // between messages
	inEnvelope              // after MAIL
	inHeader                // after the first header field
	inBody                  // after the end of the header
)

func (p phase) String() string {
	return [...]string{"negotiation", "connect", "envelope", "header", "body"}[p]
}

// admit reports whether a command may come now, and takes the conversation one
// step on. A milter that guesses what a client out of order means may take the
// header of one message for another's.
func (s *session) admit(code milter.Code) error {
	next, ok := s.phase.after(code)
	if !ok {
		return fmt.Errorf("command %q out of order, after %s", byte(code), s.phase)
	}
	s.phase = next
	return nil
}

func (p phase) after(code milter.Code) (next phase, ok bool) {
	switch code {
	case milter.CodeMacro, milter.CodeQuit, milter.CodeQuitNewConn, codeUnknown:
		return p, true
	case milter.CodeAbort:
		return min(p, connected), true
	case milter.CodeConn:
		return connected, p <= connected
	case milter.CodeHelo:
		return p, p == connected || p == inEnvelope
	case milter.CodeMail:
		return inEnvelope, p == connected || p == inEnvelope
	case milter.CodeRcpt, milter.CodeData:
		return p, p == inEnvelope
	case milter.CodeHeader:
		return inHeader, p == inEnvelope || p == inHeader
	case milter.CodeEOH:
		return inBody, p == inEnvelope || p == inHeader
	case milter.CodeBody, milter.CodeEOB:
		return p, p == inBody
	}
	return p, false // also a second negotiation
}
