package milter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-milter"

	"mailgate/internal/gate"
)

// endOfHeader asks the gate. The answer is final where the body doesn't matter.
func (s *session) endOfHeader(m *message) milter.Response {
	m.began = time.Now()
	m.ctx, m.cancel = context.WithTimeout(s.ctx, s.server.MessageTimeout)
	if m.failure == nil {
		s.redeem(m)
	}
	if m.failure == nil && m.fault == nil {
		s.begin(m)
	}
	switch {
	case m.failure != nil:
		return s.refuse(m, m.failure)
	case m.blamed():
		return s.refuse(m, m.fault)
	case m.tx != nil:
		if r := m.tx.Refusal(); r != nil {
			return s.refuse(m, r)
		}
		if m.tx.NeedsBody() {
			break
		}
		fallthrough
	default:
		return s.untouched(m)
	}
	if m.tx.MayHold() {
		m.keepCopy()
	}
	return milter.RespContinue
}

// redeem looks whether mailgate itself let the message out: from custody, or as a
// notice of its own.
func (s *session) redeem(m *message) {
	if m.tokenFields != 1 || m.token == "" || len(m.token) > maxToken {
		return
	}
	id, ok, err := s.server.Redeemer.Redeem(m.ctx, m.token)
	switch {
	case err != nil:
		s.server.Metrics.failed("redeem")
		s.log.Error("milter: redeem a release token", "qid", m.env.QueueID, "error", err)
		m.fail(noStore())
	case ok:
		m.ours, m.released, m.trusted, m.why = true, id, true, "released from custody"
		if m.isNotice() {
			m.why = "a notice of mailgate"
		}
	default:
		s.log.Warn("milter: release token is unknown, used or expired", "qid", m.env.QueueID)
	}
}

func (s *session) begin(m *message) {
	switch {
	case m.isNotice():
		m.tx = s.server.Gate.BeginOwn(m.ctx, m.env, m.header)
	case m.ours:
		m.tx = s.server.Gate.BeginReleased(m.ctx, m.env, m.header)
	default:
		m.tx = s.server.Gate.Begin(m.ctx, m.env, m.header, m.trusted)
	}
}

// untouched lets a message pass as it is, but for token fields, which can be
// removed only at its end.
func (s *session) untouched(m *message) milter.Response {
	if m.tokenFields > 0 {
		return milter.RespContinue
	}
	return s.accept(m, m.explain())
}

// endOfMessage does what the Outcome says: custody first, and only then the MTA
// is told to drop anything.
func (s *session) endOfMessage(m *message, mod *milter.Modifier) milter.Response {
	if m.failure != nil {
		return s.refuse(m, m.failure)
	}
	out := m.explain()
	if m.tx != nil && m.tx.NeedsBody() {
		out = m.tx.Finish(m.ctx)
	}
	if out.Refusal == nil && m.broken {
		out.Refusal = internalFault()
	}
	if out.Refusal != nil {
		return s.refuseOutcome(m, out, out.Refusal)
	}
	held, err := m.held(out)
	if err == nil {
		err = s.permitted(m, out, held)
	}
	if err != nil {
		s.server.Metrics.failed("outcome")
		s.log.Error("milter: message deferred", "qid", m.env.QueueID, "error", err)
		return s.refuseOutcome(m, out, internalFault())
	}
	id := m.released
	if len(held) > 0 {
		if id, err = s.take(m, out, held); err != nil {
			s.server.Metrics.failed("custody")
			s.log.Error("milter: take into custody", "qid", m.env.QueueID, "error", err)
			return s.refuseOutcome(m, out, noRoom())
		}
	}
	if len(held) > 0 && len(held) == len(m.env.To) {
		return s.finish(m, out, verdictLine{id: id, verdict: gate.Hold}, milter.RespDiscard)
	}
	if err := m.edit(out, held, mod, s.options); err != nil {
		s.log.Error("milter: change the message", "qid", m.env.QueueID, "error", err)
		return s.refuseOutcome(m, out, internalFault())
	}
	line := verdictLine{id: id, verdict: out.Verdict(), signed: gate.Signers(out.Signatures)}
	return s.finish(m, out, line, milter.RespAccept)
}

// held returns the recipients to be held. A milter can't refuse some recipients at
// the end of a message, so every other one must pass.
func (m *message) held(out *gate.Outcome) ([]gate.Recipient, error) {
	if len(out.Recipients) != len(m.env.To) {
		return nil, fmt.Errorf("verdict on %d recipients of %d", len(out.Recipients), len(m.env.To))
	}
	for i, r := range out.Recipients {
		if r.Address != m.env.To[i] {
			return nil, fmt.Errorf("verdict on %s in place of %s", r.Address, m.env.To[i])
		}
		if r.Disposition != gate.Pass && r.Disposition != gate.Hold {
			return nil, fmt.Errorf("verdict %q on %s only", r.Disposition, r.Address)
		}
	}
	held := out.Held()
	if len(held) > 0 && m.copy == nil {
		return nil, errors.New("to be held, but no copy was kept")
	}
	if len(held) > 0 && m.ours {
		return nil, errors.New("to be held again after its release")
	}
	return held, nil
}

// permitted reports, before anything is done, whether the MTA agreed to all that
// has to be.
func (s *session) permitted(m *message, out *gate.Outcome, held []gate.Recipient) error {
	if len(held) > 0 && len(held) == len(m.env.To) {
		return nil
	}
	var need milter.OptAction
	if len(out.Signatures) > 0 {
		need |= milter.OptAddHeader
	}
	if len(held) > 0 {
		need |= milter.OptRemoveRcpt
	}
	if m.tokenFields > 0 {
		need |= milter.OptChangeHeader
	}
	if !s.options.may(need) {
		return fmt.Errorf("the MTA agreed to actions %#x only, %#x are needed", uint32(s.options.actions), uint32(need))
	}
	return nil
}

// explain is the outcome of a message that isn't refused and needs no body.
func (m *message) explain() *gate.Outcome {
	if m.tx != nil {
		return m.tx.Explain()
	}
	out := &gate.Outcome{Why: m.why}
	if m.fault != nil && m.trusted {
		out.Why = "a bounce is never rejected, left as it is: " + m.fault.Text
	}
	for _, to := range m.env.To {
		out.Recipients = append(out.Recipients, gate.Recipient{Address: to, Disposition: gate.Pass})
	}
	return out
}

// accept lets a message go on as it is.
func (s *session) accept(m *message, out *gate.Outcome) milter.Response {
	return s.finish(m, out, verdictLine{id: m.released, verdict: gate.Pass}, milter.RespAccept)
}

// refuse answers a message that has no outcome of its own.
func (s *session) refuse(m *message, r *gate.Reply) milter.Response {
	if m == nil {
		s.phase = min(s.phase, connected)
		return replyCode(r)
	}
	out := &gate.Outcome{Why: r.Text}
	if m.tx != nil && m.failure == nil {
		out = m.tx.Explain()
	}
	return s.refuseOutcome(m, out, r)
}

func (s *session) refuseOutcome(m *message, out *gate.Outcome, r *gate.Reply) milter.Response {
	verdict := gate.Defer
	if r.Code >= 500 {
		verdict = gate.Reject
	}
	return s.finish(m, out, verdictLine{id: m.released, verdict: verdict, reply: replyLine(r)}, replyCode(r))
}

// finish ends a message with its final answer.
func (s *session) finish(m *message, out *gate.Outcome, line verdictLine, resp milter.Response) milter.Response {
	s.report(m, out, line)
	s.phase = min(s.phase, connected)
	s.finished = true
	s.reset()
	return resp
}
