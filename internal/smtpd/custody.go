package smtpd

import (
	"context"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// take puts the message into custody: recipients that pass are queued, the others
// held. When it returns the id, all of it is on disk.
func (s *session) take(ctx context.Context, m *message, out *gate.Outcome) (id string, err error) {
	if err := m.checkOutcome(out); err != nil {
		return "", err
	}
	now := s.server.Now()
	msg := &spool.Message{
		Source:     "relay",
		Received:   now,
		Envelope:   m.env,
		From:       out.From,
		Subject:    m.header.Subject(),
		MessageID:  m.header.MessageID(),
		Size:       m.copy.Size(),
		Prefix:     prefix(out.Signatures, s.received(m), m.added),
		EnvelopeID: m.envID,
		Return:     m.ret,
	}
	if len(out.Signatures) > 0 {
		msg.Signed = now
	}
	for _, r := range out.Recipients {
		recipient := m.recipient(r)
		if r.Disposition == gate.Pass {
			recipient.Delivery.Next = now
		}
		msg.Recipients = append(msg.Recipients, recipient)
	}
	if len(out.Held()) > 0 {
		if msg.Evidence, err = out.Evidence(); err != nil {
			return "", err
		}
	}
	if err := s.server.Custody.Take(ctx, msg, m.copy.Reader()); err != nil {
		return "", err
	}
	return msg.ID, nil
}

// prefix is what goes before the original bytes: the signatures first, so that
// they can be told from the rest and made again.
func prefix(signatures []mail.Field, received mail.Field, added mail.Header) []byte {
	h := append(mail.Header(nil), signatures...)
	return append(append(h, received), added...).Bytes()
}

// recipient is one as it is kept. Findings about the message itself are told of
// what is held, where a reviewer reads them.
func (m *message) recipient(r gate.Recipient) spool.Recipient {
	d := m.delivery[r.Address]
	d.Expected = string(r.Prediction.Verdict)
	kept := spool.Recipient{
		Address:  r.Address,
		State:    spool.Queued,
		Reason:   spool.Reason(r.Cause),
		Provider: string(r.Prediction.Provider),
		Codes:    r.Prediction.Codes,
		Rule:     r.Prediction.Rule,
		Reply:    r.Prediction.Reply,
		Delivery: d,
	}
	if r.Disposition == gate.Hold {
		kept.State = spool.Held
		kept.Codes = append(kept.Codes[:len(kept.Codes):len(kept.Codes)], m.notes...)
	}
	return kept
}
