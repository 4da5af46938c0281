package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	qidLength  = 8 // of the id in Received and in the log, before there is one in custody
	bodyBuffer = 16 << 10
)

// message is the message in hand.
type message struct {
	env      mail.Envelope
	qid      string
	envID    string
	ret      string
	delivery map[mail.Address]spool.Delivery

	trusted bool
	why     string // it is trusted or not
	rights  Rights

	began  time.Time   // end of the header
	header mail.Header // as the gate has it: fields added, and those kept
	kept   mail.Header // what is in custody of the client's
	added  mail.Header // Date and Message-ID, where the client left them out
	notes  []string    // findings about the message itself

	tx   Transaction
	copy *spool.Buffer
}

// data takes a message: to the gate, and into custody before the answer. The nil
// error is never returned: 250 is an answer like any other.
func (s *session) data(m *message, body *content) error {
	ctx, cancel := context.WithTimeout(s.conn.ctx, s.server.Limits.Message)
	defer cancel()
	defer m.discard()
	if err := s.readHeader(m, body.in); err != nil {
		return s.refuse(m, err)
	}
	m.began = time.Now()
	m.tx = s.server.Gate.Begin(ctx, m.env, m.header, m.trusted)
	if refusal := m.tx.Refusal(); refusal != nil {
		return s.refuseOutcome(m, m.tx.Explain(), fromGate(refusal))
	}
	if err := s.readBody(m, body); err != nil {
		return s.refuse(m, err)
	}
	if body.endings.longest > softLimit {
		m.notes = append(m.notes, "line-too-long")
	}
	out := m.tx.Finish(ctx)
	if out.Refusal != nil {
		return s.refuseOutcome(m, out, fromGate(out.Refusal))
	}
	return s.keep(ctx, m, out)
}

// readHeader reads the header, says what is wrong with it, and splits what goes on
// from what doesn't.
func (s *session) readHeader(m *message, r *bufio.Reader) error {
	limits := &s.server.Limits
	header, err := mail.ReadHeader(r, limits.Header)
	var syntax *mail.SyntaxError
	switch {
	case errors.Is(err, mail.ErrHeaderTooLarge), err == nil && len(header) > limits.Fields:
		return answer(552, "5.3.4", "header too large, at most %d fields and %d bytes", limits.Fields, limits.Header)
	case errors.As(err, &syntax):
		return answer(550, "5.6.0", "malformed header: %v", syntax)
	case err != nil:
		return err
	case len(header.All("Received")) > limits.Hops:
		return answer(554, "5.4.6", "too many hops, the message goes in a loop: more than %d Received fields", limits.Hops)
	}
	if err := m.mayWriteAs(header); err != nil {
		return err
	}
	m.kept = outgoing(header)
	m.added = missing(header, m.qid, s.server.Name, s.server.Now())
	m.header = append(m.added[:len(m.added):len(m.added)], m.kept...)
	return nil
}

// mayWriteAs checks the author of a client that may write as some domains only.
func (m *message) mayWriteAs(header mail.Header) error {
	if len(m.rights.SendAs) == 0 {
		return nil
	}
	from, err := header.From()
	if err != nil {
		return answer(550, "5.6.0", "mailgate can't tell who wrote this: %v", err)
	}
	for _, d := range m.rights.SendAs {
		if from.Domain == d {
			return nil
		}
	}
	return answer(550, "5.7.1", "%s, it may not write as %s", m.why, from.Domain)
}

// readBody gives the body to the gate, and all that is kept to the copy.
func (s *session) readBody(m *message, body *content) error {
	m.copy = spool.NewBuffer(s.server.SpillDir)
	for _, f := range m.kept {
		if _, err := m.copy.Write(f.Raw); err != nil {
			return s.noCopy(m, err)
		}
	}
	if _, err := io.WriteString(m.copy, "\r\n"); err != nil {
		return s.noCopy(m, err)
	}
	wanted := m.tx.NeedsBody()
	buf := body.body[:]
	for {
		n, err := body.in.Read(buf)
		if n > 0 && wanted {
			_, refused := m.tx.Write(buf[:n])
			wanted = refused == nil // if it is, Finish says so
		}
		if _, full := m.copy.Write(buf[:n]); full != nil {
			return s.noCopy(m, full)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) noCopy(m *message, err error) error {
	s.server.Metrics.failed("copy")
	s.conn.log.Error("smtpd: keep a message", "qid", m.qid, "error", err)
	return noRoom()
}

func noRoom() *smtp.SMTPError {
	return answer(452, "4.3.1", "mailgate can't store this message now, try again later")
}

// discard frees what the message holds.
func (m *message) discard() {
	if m.copy != nil {
		m.copy.Close()
		m.copy = nil
	}
	if m.tx != nil {
		m.tx.Cancel()
	}
}

// refuse answers a message that has no outcome of its own. What isn't an answer is
// a connection that was lost.
func (s *session) refuse(m *message, err error) error {
	var e *smtp.SMTPError
	if !errors.As(err, &e) {
		s.conn.log.Info("smtpd: message given up", "qid", m.qid, "from", path(m.env.From), "error", err)
		return err
	}
	return s.refuseOutcome(m, &gate.Outcome{Why: e.Message}, e)
}

func (s *session) refuseOutcome(m *message, out *gate.Outcome, e *smtp.SMTPError) error {
	verdict := gate.Defer
	if e.Code >= 500 {
		verdict = gate.Reject
	}
	s.report(m, out, verdictLine{verdict: verdict, reply: replyText(e)})
	return e
}

// keep takes the message into custody and only then says so.
func (s *session) keep(ctx context.Context, m *message, out *gate.Outcome) error {
	id, err := s.take(ctx, m, out)
	switch {
	case errors.Is(err, errOutcome):
		s.server.Metrics.failed("outcome")
		s.conn.log.Error("smtpd: message deferred", "qid", m.qid, "error", err)
		return s.refuseOutcome(m, out, internalFault())
	case err != nil:
		s.server.Metrics.failed("custody")
		s.conn.log.Error("smtpd: take into custody", "qid", m.qid, "error", err)
		return s.refuseOutcome(m, out, noRoom())
	}
	s.conn.commands, s.conn.errors = 0, 0
	s.report(m, out, verdictLine{id: id, verdict: out.Verdict(), signed: gate.Signers(out.Signatures)})
	return answer(250, "2.0.0", "taken as %s", id)
}

// errOutcome: the gate's word is none that a door could follow.
var errOutcome = errors.New("no verdict on every recipient")

// checkOutcome sees that each recipient passes or is held.
func (m *message) checkOutcome(out *gate.Outcome) error {
	if len(out.Recipients) != len(m.env.To) {
		return fmt.Errorf("%w: %d of %d", errOutcome, len(out.Recipients), len(m.env.To))
	}
	for i, r := range out.Recipients {
		if r.Address != m.env.To[i] {
			return fmt.Errorf("%w: %s in place of %s", errOutcome, r.Address, m.env.To[i])
		}
		if r.Disposition != gate.Pass && r.Disposition != gate.Hold {
			return fmt.Errorf("%w: %q on %s only", errOutcome, r.Disposition, r.Address)
		}
	}
	return nil
}

// outgoing is the header without what is not for the recipients' eyes: Bcc, a
// Return-Path, which only the last server writes (RFC 5321 section 4.4), and the
// token of another door.
func outgoing(header mail.Header) mail.Header {
	kept := make(mail.Header, 0, len(header))
	for _, f := range header {
		switch strings.ToLower(f.Name) {
		case "bcc", "resent-bcc", "return-path", strings.ToLower(spool.TokenHeader):
		default:
			kept = append(kept, f)
		}
	}
	return kept
}
