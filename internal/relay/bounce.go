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

// maxReturned bounds how much of a header goes back with a report, in bytes.
const maxReturned = 64 << 10

// report tells the sender what he is to know, by messages of our own: of recipients
// given up, of a delay, and of those passed on to a server that reports nothing.
// Without a report in custody nothing is given up: it is tried again.
func (e *Engine) report(ctx context.Context, s Settings, m *spool.Message, fates []*fate) {
	now := e.o.Now()
	failed := only(fates, func(f *fate) bool { return f.outcome == bounced && f.wants("FAILURE", true) })
	if err := e.send(ctx, s, m, notice.Failed, failed); err != nil {
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
		if err := e.send(ctx, s, m, kind, list); err != nil {
			e.log.ErrorContext(ctx, "can't tell a sender about his message", "id", m.ID, "kind", kind, "error", err)
		}
	}
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

// send takes a report into custody. Mail from the null sender is never reported on
// to it (RFC 5321 section 4.5.5): what can't be delivered of it goes to the
// postmaster, if there is one, and is dropped otherwise.
func (e *Engine) send(ctx context.Context, s Settings, m *spool.Message, kind notice.Kind, fates []*fate) error {
	if len(fates) == 0 {
		return nil
	}
	to := m.Envelope.From
	if to.IsNull() {
		if kind != notice.Failed {
			return nil
		}
		to = s.Postmaster
		for _, f := range fates {
			f.why = "It has no sender to be returned to. " + f.why
		}
		if to.IsNull() || slices.ContainsFunc(fates, func(f *fate) bool { return f.to.Address == to }) {
			return nil
		}
	}
	header, err := e.header(ctx, m.ID)
	if err != nil {
		return err
	}
	r := e.compose(s, m, kind, fates, to, header)
	content := r.Compose()
	own, err := e.own(s, r, content)
	if err != nil {
		return err
	}
	if err := e.o.Custody.Take(ctx, own, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("take the report to %s into custody: %w", to, err)
	}
	e.log.InfoContext(ctx, "report", "id", own.ID, "about", m.ID, "kind", kind, "to", to)
	e.Kick()
	return nil
}

// header returns the original header as it came, as far as a report shows it.
func (e *Engine) header(ctx context.Context, id string) ([]byte, error) {
	body, err := e.o.Bodies.Open(ctx, id)
	if errors.Is(err, spool.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the message: %w", err)
	}
	defer body.Close()
	var header []byte
	for r := bufio.NewReader(body); len(header) <= maxReturned; {
		line, err := r.ReadSlice('\n')
		header = append(header, line...)
		if len(bytes.TrimRight(line, "\r\n")) == 0 || err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	return bytes.TrimSuffix(header, []byte("\r\n\r\n")), nil
}

func (e *Engine) compose(s Settings, m *spool.Message, kind notice.Kind, fates []*fate, to mail.Address, header []byte) *notice.Report {
	now := e.o.Now()
	r := &notice.Report{Kind: kind, Hostname: s.Hostname, To: to, Message: m, Header: header, At: now}
	for _, f := range fates {
		told := notice.Recipient{Address: f.to.Address, Original: f.to.Delivery.Original, Status: f.status, LastAttempt: now, Why: f.why}
		if f.answered {
			told.Diagnostic, told.RemoteMTA = f.words, f.host
		} else {
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
