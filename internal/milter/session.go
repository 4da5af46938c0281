package milter

import (
	"context"
	"log/slog"
	"net"
	"net/textproto"
	"runtime/debug"
	"strings"

	"github.com/emersion/go-milter"

	"mailgate/internal/spool"
)

// session is the conversation about one SMTP client: its connection and HELO, and
// one message after the other. The library asks for a new backend after every
// final answer and always gets this one, so that the second message of an SMTP
// session still knows its client. All methods run on the library's goroutine,
// except end, which runs after it.
type session struct {
	ctx     context.Context
	server  *Server
	conn    *conn
	options options
	log     *slog.Logger

	phase     phase
	client    client
	message   *message // nil between messages
	smtputf8  bool     // MAIL came with SMTPUTF8; the library drops such arguments
	lastChunk []byte   // body in the end-of-body frame; the library drops it
	finished  bool     // a message had its final answer, and no abort came since
}

var _ milter.Milter = (*session)(nil)

func newSession(ctx context.Context, s *Server, c *conn, o options, log *slog.Logger) *session {
	return &session{ctx: ctx, server: s, conn: c, options: o, log: log}
}

// end gives up what is in hand when the connection is closed.
func (s *session) end() { s.reset() }

// reset forgets the message in hand, but not the client.
func (s *session) reset() {
	m := s.message
	s.message = nil
	s.lastChunk = nil
	s.conn.Busy(false)
	if m != nil {
		s.guard("reset", m.discard)
	}
}

// guard runs f and reports whether it came to its end. A panic costs the message
// in hand a temporary refusal, where the next answer is due; the session goes on.
func (s *session) guard(stage string, f func()) (ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		s.server.Metrics.failed("panic")
		s.log.Error("milter: panic", "stage", stage, "panic", v, "stack", string(debug.Stack()))
		if s.message != nil {
			s.message.fail(internalFault())
		}
		ok = false
	}()
	f()
	return true
}

// note runs a handler that decides nothing.
func (s *session) note(stage string, unless milter.OptProtocol, f func()) (milter.Response, error) {
	s.guard(stage, f)
	return s.options.reply(unless), nil
}

// decide runs a handler whose answer the MTA waits for.
func (s *session) decide(stage string, f func(*message) milter.Response) (resp milter.Response, err error) {
	if !s.guard(stage, func() { resp = f(s.message) }) {
		resp = s.refuse(s.message, internalFault())
	}
	return resp, nil
}

// Connect implements milter.Milter.
func (s *session) Connect(host, family string, port uint16, addr net.IP, m *milter.Modifier) (milter.Response, error) {
	return s.note("connect", milter.OptNoConnReply, func() {
		s.client = newClient(host, family, port, addr, m.Macros)
	})
}

// Helo implements milter.Milter.
func (s *session) Helo(name string, m *milter.Modifier) (milter.Response, error) {
	return s.note("helo", milter.OptNoHeloReply, func() { s.client.helo = name })
}

// MailFrom implements milter.Milter. It begins a message.
func (s *session) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	s.reset()
	s.conn.Busy(true)
	return s.note("mail", milter.OptNoMailReply, func() {
		s.message = newMessage(s.server, s.client, macro(m.Macros, "auth_authen"))
		s.message.env.SMTPUTF8 = s.smtputf8
		s.message.sender(from)
		s.message.queueID(m.Macros)
		if nonce, ok := strings.CutPrefix(s.message.env.From.Local, spool.ProbePrefix); ok {
			s.server.Probed(nonce)
		}
	})
}

// RcptTo implements milter.Milter.
func (s *session) RcptTo(to string, m *milter.Modifier) (milter.Response, error) {
	return s.note("rcpt", milter.OptNoRcptReply, func() { s.message.recipient(to) })
}

// Header implements milter.Milter.
func (s *session) Header(name, value string, m *milter.Modifier) (milter.Response, error) {
	return s.note("header", milter.OptNoHeaderReply, func() {
		if !s.options.has(milter.OptHeaderLeadingSpace) {
			value = restoreSpace(value)
		}
		s.message.field(name, value)
	})
}

// Headers implements milter.Milter: the end of the header, where the gate decides.
func (s *session) Headers(_ textproto.MIMEHeader, mod *milter.Modifier) (milter.Response, error) {
	return s.decide("end of header", func(m *message) milter.Response {
		m.queueID(mod.Macros)
		return s.endOfHeader(m)
	})
}

// BodyChunk implements milter.Milter.
func (s *session) BodyChunk(chunk []byte, _ *milter.Modifier) (milter.Response, error) {
	ok := s.guard("body", func() { s.message.write(chunk) })
	if ok && !s.message.wanted() && s.options.has(milter.OptSkip) && !s.options.has(milter.OptNoBodyReply) {
		return milter.SimpleResponse(milter.ActSkip), nil
	}
	return s.options.reply(milter.OptNoBodyReply), nil
}

// Body implements milter.Milter: the end of the message.
func (s *session) Body(mod *milter.Modifier) (milter.Response, error) {
	return s.decide("end of message", func(m *message) milter.Response {
		m.write(s.lastChunk)
		m.queueID(mod.Macros)
		return s.endOfMessage(m, mod)
	})
}

// Abort implements milter.Milter: the message in hand is given up, the client
// stays.
func (s *session) Abort(*milter.Modifier) error {
	s.finished = false
	s.reset()
	return nil
}

// restoreSpace puts back the space after the colon that an MTA without
// header-leading-space takes away.
func restoreSpace(value string) string {
	if value == "" || value[0] == '\t' || value[0] == '\n' || value[0] == '\r' {
		return value
	}
	return " " + value
}
