package mtatest

import (
	"context"
	"errors"
	"io"

	"github.com/emersion/go-smtp"
)

// session takes mail over SMTP. The milter hears of every command, as from
// Postfix.
type session struct {
	mta  *MTA
	talk *talk // nil between messages
}

func (s *session) Reset() {
	if s.talk != nil {
		s.talk.close()
		s.talk = nil
	}
}

func (s *session) Logout() error {
	s.Reset()
	return nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) (err error) {
	s.talk, err = s.mta.begin(from)
	return reply(err)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { return reply(s.talk.rcpt(to)) }

// Data answers for the milter; what the receivers say comes later, as with any MTA
// that has a queue.
func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v, err := s.talk.content(content)
	if err == nil {
		s.mta.deliver(context.Background(), s.talk, v)
	}
	return reply(err)
}

// reply is what Postfix answers: the milter's words, or those of
// milter_default_action = tempfail.
func reply(err error) error {
	if _, ok := errors.AsType[*smtp.SMTPError](err); ok || err == nil {
		return err
	}
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Service unavailable - try again later"}
}
