package milter

import (
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// take puts the copy of the message into custody for its held recipients. When it
// returns the id, message and recipients are on disk.
func (s *session) take(m *message, out *gate.Outcome, held []gate.Recipient) (id string, err error) {
	evidence, err := out.Evidence()
	if err != nil {
		return "", err
	}
	msg := &spool.Message{
		Source:    "milter",
		Envelope:  m.env,
		From:      out.From,
		Subject:   m.header.Subject(),
		MessageID: m.header.MessageID(),
		Size:      m.copy.Size(),
		Evidence:  evidence,
	}
	msg.Envelope.To = make([]mail.Address, 0, len(held))
	for _, r := range held {
		msg.Envelope.To = append(msg.Envelope.To, r.Address)
		msg.Recipients = append(msg.Recipients, heldRecipient(r))
	}
	if err := s.server.Custody.Take(m.ctx, msg, m.copy.Reader()); err != nil {
		return "", err
	}
	return msg.ID, nil
}

func heldRecipient(r gate.Recipient) spool.Recipient {
	return spool.Recipient{
		Address:  r.Address,
		State:    spool.Held,
		Reason:   spool.Reason(r.Cause),
		Provider: string(r.Prediction.Provider),
		Codes:    r.Prediction.Codes,
		Rule:     r.Prediction.Rule,
		Reply:    r.Prediction.Reply,
	}
}
