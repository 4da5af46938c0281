package smtpd

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// session is what the library calls: one conversation, one message after the
// other, on one goroutine. All its errors are replies.
type session struct {
	server  *Server
	conn    *conn
	smtp    *smtp.Conn
	user    string // who logged in
	rights  Rights // of the user
	message *message
}

var _ smtp.AuthSession = (*session)(nil)

// guard runs f. A panic costs the session: 451, and it ends.
func (s *session) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.server.Metrics.failed("panic")
			s.conn.log.Error("smtpd: panic", "command", s.conn.verb, "panic", v, "stack", string(debug.Stack()))
			s.conn.over = true
			err = internalFault()
		}
	}()
	return f()
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.message = nil }

// Logout implements smtp.Session.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	return s.guard(func() error { return s.mail(from, o) })
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	return s.guard(func() error { return s.rcpt(to, o) })
}

// Data implements smtp.Session. The message is read from the connection, which
// has taken it out of the library's reach.
func (s *session) Data(io.Reader) error {
	body := s.conn.begin()
	defer s.conn.end()
	err := s.guard(func() error { return s.data(s.message, body) })
	if _, ok := err.(*smtp.SMTPError); !ok {
		return internalFault() // nobody is there to hear it
	}
	return err
}

func (s *session) mail(from string, o *smtp.MailOptions) error {
	l := s.conn.listener
	if l.TLS == TLSRequired && s.conn.tls == nil {
		return answer(530, "5.7.0", "STARTTLS first")
	}
	if o.Size > s.server.Limits.Size {
		return answer(552, "5.3.4", "message too large, at most %d bytes", s.server.Limits.Size)
	}
	sender, err := envelopeAddress(s.conn.line, from)
	if err != nil {
		return answer(553, "5.1.7", "bad sender address: %v", err)
	}
	if err := needsUTF8(sender, o.UTF8); err != nil {
		return err
	}
	if len(o.EnvelopeID) > maxEnvelopeID {
		return answer(501, "5.5.4", "ENVID too long, at most %d characters", maxEnvelopeID)
	}
	m := &message{
		qid:      spool.NewID(qidLength),
		envID:    o.EnvelopeID,
		ret:      string(o.Return),
		delivery: make(map[mail.Address]spool.Delivery, 1),
	}
	m.env = mail.Envelope{
		From: sender, Helo: printable(s.smtp.Hostname(), maxHelo), Client: s.conn.client,
		User: s.user, QueueID: m.qid, SMTPUTF8: o.UTF8,
	}
	m.rights, m.trusted, m.why = s.trust()
	s.message = m
	return nil
}

// trust says whether the client may send, as whom, and why.
func (s *session) trust() (Rights, bool, string) {
	if s.user != "" {
		return s.rights, true, "authenticated as " + s.user
	}
	a := s.conn.client
	if !a.IsValid() {
		return Rights{}, false, "client of unknown address"
	}
	if t := s.conn.listener.Trusted; t != nil {
		if r, ok := t(a); ok {
			return r, true, "client " + a.String() + " is trusted"
		}
	}
	return Rights{}, false, "client " + a.String() + " is not trusted"
}

func (s *session) rcpt(to string, o *smtp.RcptOptions) error {
	m := s.message
	if !m.trusted {
		return s.denied(to)
	}
	recipient, err := envelopeAddress(s.conn.line, to)
	if err == nil {
		err = plainRecipient(recipient)
	}
	if err != nil {
		return answer(550, "5.1.3", "bad recipient address: %v", err)
	}
	if err := needsUTF8(recipient, m.env.SMTPUTF8); err != nil {
		return err
	}
	d, err := delivery(o)
	if err != nil {
		return answer(501, "5.5.4", "%v", err)
	}
	if _, known := m.delivery[recipient]; known {
		return nil
	}
	if len(m.env.To) >= s.server.Limits.Recipients {
		return answer(452, "4.5.3", "too many recipients, at most %d", s.server.Limits.Recipients)
	}
	m.env.To = append(m.env.To, recipient)
	m.delivery[recipient] = d
	return nil
}

// denied refuses to relay for a stranger.
func (s *session) denied(to string) error {
	s.server.Metrics.failed("relay-denied")
	s.conn.log.Info("smtpd: relaying denied", "from", path(s.message.env.From), "to", printable(to, maxReply), "why", s.message.why)
	hint := "log in first"
	if s.conn.listener.Users == nil {
		hint = "its address must be in relay.trusted"
	}
	return answer(550, "5.7.1", "relaying denied: %s; %s", s.message.why, hint)
}

func needsUTF8(a mail.Address, offered bool) error {
	if a.NeedsUTF8() && !offered {
		return answer(553, "5.6.7", "an address with other than ASCII characters needs SMTPUTF8")
	}
	return nil
}

// protocol is the word for it in Received (RFC 3848, RFC 6531 section 4.3).
func (s *session) protocol(utf8 bool) string {
	var b strings.Builder
	switch {
	case utf8:
		b.WriteString("UTF8SMTP")
	case s.conn.helo == "EHLO":
		b.WriteString("ESMTP")
	default:
		return "SMTP"
	}
	if s.conn.tls != nil {
		b.WriteByte('S')
	}
	if s.user != "" {
		b.WriteByte('A')
	}
	return b.String()
}

func path(a mail.Address) string { return fmt.Sprintf("<%s>", a) }
