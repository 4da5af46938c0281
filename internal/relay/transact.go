package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

// maxRecipients bounds a transaction's (RFC 5321 section 4.5.3.1.8: every server
// takes 100).
const maxRecipients = 100

var (
	// errStale: a connection that was used before was closed meanwhile, or is now with a
	// 421: many servers take so many messages over each. Nothing was sent over it, and
	// whether the server takes mail, a new connection tells.
	errStale = errors.New("the server closed the connection between two messages")
	// errContent: what is to be sent can't be read.
	errContent = errors.New("read the message")
)

// transact sends a message to the recipients of fates, which it settles as far as
// the server answers. An error says why it didn't; the session is of no use then.
func (s *session) transact(ctx context.Context, m *spool.Message, p *parcel, fates []*fate, at func(point string)) error {
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	s.sent++
	if err := s.mail(m, p, fates); err != nil {
		return err
	}
	taken, err := s.rcpts(p, fates)
	if err != nil {
		return err
	}
	if len(taken) == 0 {
		return s.reset()
	}
	return s.data(p, taken, at)
}

// mail begins a transaction. What the server answers to it concerns everybody.
func (s *session) mail(m *spool.Message, p *parcel, fates []*fate) error {
	options := &smtp.MailOptions{
		Size:       p.size(),
		UTF8:       p.needsUTF8,
		Return:     smtp.DSNReturn(m.Return),
		EnvelopeID: printableASCII(m.EnvelopeID),
	}
	err := unlessYes(s.client.Mail(m.Envelope.From.String(), options))
	switch {
	case s.sent > 1 && (connectionLost(err) || closing(err) != nil):
		return errStale
	case connectionLost(err):
		return fmt.Errorf("MAIL at %s: %w", s.host, err)
	}
	return s.answer(fates, err)
}

// answer gives the recipients that have none the server's answer.
func (s *session) answer(fates []*fate, err error) error {
	if err == nil {
		return nil
	}
	for _, f := range fates {
		f.refused(s, err)
	}
	return closing(err)
}

// closing is err if the server closes the session with it.
func closing(err error) error {
	if answer, ok := errors.AsType[*smtp.SMTPError](err); ok && answer.Code == 421 {
		return err
	}
	return nil
}

// rcpts names the recipients and returns those taken.
func (s *session) rcpts(p *parcel, fates []*fate) ([]*fate, error) {
	dsn, _ := s.client.Extension("DSN")
	var taken []*fate
	for _, f := range fates {
		if f.outcome != "" { // MAIL was refused
			continue
		}
		err := unlessYes(s.client.Rcpt(f.to.Address.String(), recipientOptions(f.to.Delivery)))
		switch {
		case err == nil:
			f.passedOn = dsn
			taken = append(taken, f)
		case connectionLost(err):
			return nil, fmt.Errorf("RCPT at %s: %w", s.host, err)
		case tooMany(err) && len(taken) > 0: // the rest goes in another transaction
			return taken, nil
		default:
			f.refused(s, err)
			if err := closing(err); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}

// tooMany tells "too many recipients": 452, or 552 from old servers (RFC 5321
// section 4.5.3.1.10).
func tooMany(err error) bool {
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	return ok && (answer.Code == 452 || answer.Code == 552)
}

// data sends the message. What the server answers concerns all recipients taken.
func (s *session) data(p *parcel, taken []*fate, at func(point string)) error {
	w, err := s.client.Data()
	if err != nil && connectionLost(err) {
		return fmt.Errorf("DATA at %s: %w", s.host, err)
	}
	if err != nil {
		if err := s.answer(taken, err); err != nil {
			return err
		}
		return s.reset()
	}
	content := &reading{r: p.reader()}
	if _, err := io.Copy(w, content); err != nil {
		s.close() // without the final dot the server keeps nothing
		if content.err != nil {
			return fmt.Errorf("%w: %w", errContent, content.err)
		}
		return fmt.Errorf("send the message to %s: %w", s.host, err)
	}
	at("deliver-sending")
	answer, err := finish(w)
	switch {
	case err != nil && connectionLost(err):
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	case err != nil:
		return s.answer(taken, err)
	}
	for _, f := range taken {
		f.delivered(s, answer.String())
	}
	return nil
}

// reset ends a transaction that was begun in vain.
func (s *session) reset() error {
	if err := unlessYes(s.client.Reset()); err != nil {
		return fmt.Errorf("RSET at %s: %w", s.host, err)
	}
	return nil
}

// reading remembers an error of reading, to tell it from one of writing.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// recipientOptions passes on what the sender asked for (RFC 3461 section 5.2.1). The
// client leaves it out where the server doesn't know DSN.
func recipientOptions(d spool.Delivery) *smtp.RcptOptions {
	o := &smtp.RcptOptions{Notify: notifyWords(d.Notify)}
	kind, address, _ := strings.Cut(d.Original, ";")
	switch strings.ToUpper(kind) {
	case string(smtp.DSNAddressTypeRFC822):
		o.OriginalRecipientType, o.OriginalRecipient = smtp.DSNAddressTypeRFC822, printableASCII(address)
	case string(smtp.DSNAddressTypeUTF8):
		o.OriginalRecipientType, o.OriginalRecipient = smtp.DSNAddressTypeUTF8, address
	}
	return o
}

// notifyWords reads NOTIFY. What isn't as RFC 3461 has it isn't passed on: the client
// would give up the whole session for it.
func notifyWords(s string) []smtp.DSNNotify {
	var words []smtp.DSNNotify
	for word := range strings.SplitSeq(strings.ToUpper(s), ",") {
		n := smtp.DSNNotify(word)
		known := n == smtp.DSNNotifySuccess || n == smtp.DSNNotifyFailure || n == smtp.DSNNotifyDelayed
		if n == smtp.DSNNotifyNever && n == smtp.DSNNotify(strings.ToUpper(s)) {
			return []smtp.DSNNotify{n}
		}
		if !known || slices.Contains(words, n) {
			return nil
		}
		words = append(words, n)
	}
	return words
}

// printableASCII is s, or nothing when it can't be passed on.
func printableASCII(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}
