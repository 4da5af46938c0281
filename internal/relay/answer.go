package relay

import (
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

// ErrUnanswered says that a message went to the MTA whole, but the answer to it did
// not come: it may have been taken or not.
var ErrUnanswered = errors.New("the MTA may have taken the message: its answer to the final dot didn't come")

// errSlow is why a transaction was given up that did not come to its end.
var errSlow = errors.New("the MTA took too long")

// refusal is an answer of the MTA, 4xx or 5xx, that concerns a whole message.
type refusal struct {
	what   string
	answer error // has an *smtp.SMTPError
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %v", r.what, r.answer) }
func (r *refusal) Unwrap() error { return r.answer }

// answered sorts the error of a command: a refusal, or trouble with the connection.
func answered(what string, err error) error {
	if connectionLost(err) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &refusal{what, err}
}

// connectionLost tells a broken session from an answer of the MTA.
func connectionLost(err error) bool {
	if err == nil {
		return false
	}
	_, ok := errors.AsType[*smtp.SMTPError](err)
	return !ok
}

// unlessYes is err, or nil where it is a 2xx answer: the library takes but one code for
// yes, where the first digit decides (RFC 5321 section 4.3.2).
func unlessYes(err error) error {
	if answer, ok := errors.AsType[*smtp.SMTPError](err); ok && answer.Code/100 == 2 {
		return nil
	}
	return err
}

// finish ends a message and returns what the server says to that. An error is no 2xx.
func finish(w *smtp.DataCommand) (reply, error) {
	response, err := w.CloseWithResponse()
	if err == nil {
		return reply{code: 250, text: joined(response.StatusText)}, nil
	}
	if unlessYes(err) != nil {
		return reply{}, err
	}
	answer, _ := errors.AsType[*smtp.SMTPError](err)
	return replyOf(answer), nil
}

// refused notes the MTA's answer about a recipient.
func refused(h *spool.Handover, err error) {
	h.Err, h.Permanent = err, isPermanent(err)
	if answer, ok := errors.AsType[*smtp.SMTPError](err); ok {
		h.Reply = replyOf(answer).String()
	}
}

// isPermanent reports whether err is a 5xx answer.
func isPermanent(err error) bool {
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	return ok && answer.Code/100 == 5
}
