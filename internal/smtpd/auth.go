package smtpd

import (
	"context"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// AuthMechanisms implements smtp.AuthSession: nothing without TLS.
func (s *session) AuthMechanisms() []string {
	if s.conn.tls == nil || s.conn.listener.Users == nil {
		return nil
	}
	return []string{"PLAIN", "LOGIN"}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch {
	case s.conn.tls == nil || s.conn.listener.Users == nil:
		return nil, answer(502, "5.7.0", "no logins here")
	case s.message != nil:
		return nil, answer(503, "5.5.1", "not in the middle of a message")
	case mechanism == "PLAIN":
		return sasl.NewPlainServer(func(identity, user, password string) error {
			if identity != "" && identity != user {
				return smtp.ErrAuthFailed
			}
			return s.login(user, password)
		}), nil
	case mechanism == "LOGIN":
		return &loginServer{login: s.login}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// login checks a password and answers.
func (s *session) login(user, password string) error {
	return s.guard(func() error {
		ctx, cancel := context.WithTimeout(s.conn.ctx, s.server.Limits.Read)
		defer cancel()
		rights, ok, err := s.conn.listener.Users.Check(ctx, user, password)
		switch {
		case err != nil:
			s.server.Metrics.login("error")
			s.conn.log.Warn("smtpd: login", "user", printable(user, maxHelo), "error", err)
			return answer(454, "4.7.0", "mailgate can't check passwords now, try again later")
		case !ok:
			s.server.Metrics.login("refused")
			s.conn.log.Warn("smtpd: login refused", "user", printable(user, maxHelo))
			return answer(535, "5.7.8", "user or password is wrong")
		}
		s.server.Metrics.login("ok")
		s.user, s.rights = user, rights
		return nil
	})
}

var errExchange = errors.New("unexpected answer")

// loginServer is the mechanism LOGIN, which Outlook and old Exchange want
// (draft-murchison-sasl-login).
type loginServer struct {
	login func(user, password string) error
	user  string
	asked int
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && l.asked == 0 {
		l.asked = 1
		return []byte("Username:"), false, nil
	}
	switch l.asked {
	case 0, 1:
		l.user, l.asked = string(response), 2
		return []byte("Password:"), false, nil
	case 2:
		l.asked = 3
		if strings.ContainsRune(l.user, 0) {
			return nil, false, smtp.ErrAuthFailed
		}
		return nil, true, l.login(l.user, string(response))
	}
	return nil, false, errExchange
}
