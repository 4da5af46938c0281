package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/spool"
)

// report tells the sender what he is to know, by messages of our own: of recipients
// given up, of a delay, and of those passed on to a server that reports nothing.
// Without a report in custody nothing is given up: it is tried again.
func (e *Engine) report(ctx context.Context, s Settings, m *spool.Message, fates []*fate) {
	now := e.o.Now()
	failed := toldOfFailure(fates)
	if _, err := e.send(ctx, s, m, notice.Failed, failed); err != nil {
		e.log.ErrorContext(ctx, "can't return a message now: it is kept", "id", m.ID, "error", err)
		for _, f := range failed {
			f.outcome, f.why = deferred, ""
		}
	}
	for kind, list := range map[notice.Kind][]*fate{
		notice.Delayed: only(fates, func(f *fate) bool {
			return f.outcome == deferred && f.wants("DELAY", true) && s.tellDelay(m, &f.to, now)
		}),
		notice.Relayed: only(fates, func(f *fate) bool {
			return f.outcome == delivered && f.wants("SUCCESS", false) && !f.passedOn
		}),
	} {
		if _, err := e.send(ctx, s, m, kind, list); err != nil {
			e.log.ErrorContext(ctx, "can't tell a sender about his message", "id", m.ID, "kind", kind, "error", err)
		}
	}
}

// toldOfFailure are the recipients given up of which the sender is to be told.
func toldOfFailure(fates []*fate) []*fate {
	return only(fates, func(f *fate) bool { return f.outcome == bounced && f.wants("FAILURE", true) })
}

// wants reports whether the sender asked to be told of it (RFC 3461 section 4.1);
// usual is what holds where he said nothing.
func (f *fate) wants(what string, usual bool) bool {
	notify := strings.ToUpper(f.to.Delivery.Notify)
	if notify == "" {
		return usual
	}
	return slices.Contains(strings.Split(notify, ","), what)
}

func only(fates []*fate, is func(*fate) bool) []*fate {
	return slices.DeleteFunc(slices.Clone(fates), func(f *fate) bool { return !is(f) })
}

// send takes a report into custody, and returns to whom; null: to nobody. Mail from the null sender is never reported on
// to it (RFC 5321 section 4.5.5): what can't be delivered of it goes to the
// postmaster, if there is one, and is dropped otherwise.
func (e *Engine) send(ctx context.Context, s Settings, m *spool.Message, kind notice.Kind, fates []*fate) (mail.Address, error) {
	if len(fates) == 0 {
		return mail.Address{}, nil
	}
	to := m.Envelope.From
	if to.IsNull() {
		if kind != notice.Failed {
			return mail.Address{}, nil
		}
		to = s.Postmaster
		for _, f := range fates {
			f.why = "It has no sender to be returned to. " + f.why
		}
		if to.IsNull() || slices.ContainsFunc(fates, func(f *fate) bool { return f.to.Address == to }) {
			return mail.Address{}, nil
		}
	}
	r := e.reportOf(s, m, kind, fates, to)
	if err := e.giveBack(ctx, r); err != nil {
		return mail.Address{}, err
	}
	content := r.Compose()
	own, err := e.own(s, r, content)
	if err != nil {
		return mail.Address{}, err
	}
	if err := e.o.Custody.Take(ctx, own, bytes.NewReader(content)); err != nil {
		return mail.Address{}, fmt.Errorf("take the report to %s into custody: %w", to, err)
	}
	e.log.InfoContext(ctx, "report", "id", own.ID, "about", m.ID, "kind", kind, "to", to)
	e.Kick()
	return to, nil
}

// giveBack puts into a report what it returns of the message.
func (e *Engine) giveBack(ctx context.Context, r *notice.Report) error {
	content, err := e.o.Bodies.Open(ctx, r.Message.ID)
	if errors.Is(err, spool.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the message: %w", err)
	}
	defer content.Close()
	return r.Return(content)
}

func (e *Engine) reportOf(s Settings, m *spool.Message, kind notice.Kind, fates []*fate, to mail.Address) *notice.Report {
	now := e.o.Now()
	r := &notice.Report{Kind: kind, Hostname: s.Hostname, To: to, Message: m, At: now, Relay: true}
	for _, f := range fates {
		told := notice.Recipient{Address: f.to.Address, Original: f.to.Delivery.Original, Status: f.status, LastAttempt: now, Why: f.why}
		switch {
		case f.byHand:
			told.ByHand, told.Diagnostic, told.LastAttempt = true, f.words, time.Time{}
		case f.answered:
			told.Diagnostic, told.RemoteMTA = f.words, f.host
		default:
			told.Why = strings.TrimSpace(f.why + " " + sentence(f.words))
		}
		r.Recipients = append(r.Recipients, told)
	}
	if kind == notice.Delayed {
		r.Until = s.end(m, &fates[0].to)
	}
	return r
}

// own makes a report a message like any other: signed and delivered by the relay.
func (e *Engine) own(s Settings, r *notice.Report, content []byte) (*spool.Message, error) {
	header, err := mail.ReadHeader(bufio.NewReader(bytes.NewReader(content)), len(content)+1)
	if err != nil {
		return nil, fmt.Errorf("read our own report: %w", err)
	}
	now := e.o.Now()
	return &spool.Message{
		Source:    "relay",
		Received:  now,
		Envelope:  mail.Envelope{To: []mail.Address{r.To}, Helo: string(s.Hostname), SMTPUTF8: r.To.NeedsUTF8()},
		From:      mail.Address{Local: "MAILER-DAEMON", Domain: s.Hostname},
		Subject:   header.Subject(),
		MessageID: header.MessageID(),
		Recipients: []spool.Recipient{{
			Address: r.To, State: spool.Queued, Delivery: spool.Delivery{Next: now},
		}},
	}, nil
}

// sentence makes a sentence of an error's words.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func inDays(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}
