package relay

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

func order(id, reason string, to ...string) Order {
	o := Order{ID: id, Actor: "root", Reason: reason}
	for _, a := range to {
		o.To = append(o.To, address(a))
	}
	return o
}

func (w *world) states(m *spool.Message) string {
	var list []string
	for _, r := range w.recipients(m) {
		list = append(list, string(r.State))
	}
	return strings.Join(list, " ")
}

func (w *world) lastEntry(id string) spool.LogEntry {
	w.t.Helper()
	log, err := w.store.Log(w.t.Context(), spool.LogFilter{ID: id, Limit: 1})
	if err != nil || len(log) != 1 {
		w.t.Fatal(log, err)
	}
	return log[0]
}

// What is held by hand isn't tried any more, and keeps what the last try brought.
func TestHold(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	m := w.queue(nil, "bob@dest.example", "carol@dest.example")
	w.pass()
	held, err := w.e.Hold(t.Context(), order(m.ID, "sent twice", "bob@dest.example"))
	if err != nil || len(held) != 1 || w.states(m) != "held queued" {
		t.Fatalf("%v, %v: %s", held, err, w.states(m))
	}
	bob := w.recipients(m)[0]
	if bob.Reason != spool.ByHand || bob.Delivery.Tries != 1 || !strings.Contains(bob.Delivery.Answer, "connection refused") || len(bob.Codes) != 0 || bob.Rule != "" {
		t.Errorf("%+v", bob)
	}
	if e := w.lastEntry(m.ID); e.Action != spool.ActionRequeue || e.Actor != "root" || e.Reason != "sent twice" {
		t.Errorf("%+v", e)
	}
	w.until(time.Hour)
	if got := w.recipients(m); got[0].Delivery.Tries != 1 || got[1].Delivery.Tries < 3 {
		t.Errorf("%+v", got)
	}
	if _, err := w.e.Hold(t.Context(), order(m.ID, "the rest")); err != nil || w.states(m) != "held held" {
		t.Errorf("%v: %s", err, w.states(m))
	}
}

// What can't be held says why, and nothing is changed.
func TestHoldRefuses(t *testing.T) {
	w := newWorld(t)
	m := w.queue(nil, "bob@dest.example", "carol@dest.example", "dora@other.example")
	err := w.store.Move(t.Context(), spool.Move{ID: m.ID, To: []mail.Address{address("carol@dest.example")}, From: spool.Queued, Into: spool.Delivered, Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    Order
		is   error
		want string
	}{
		{order("zzzzz", "x"), spool.ErrNotFound, "message zzzzz"},
		{order(m.ID, "x", "eve@dest.example"), spool.ErrNotFound, "no recipient <eve@dest.example>"},
		{order(m.ID, "x", "bob@dest.example", "carol@dest.example"), spool.ErrConflict, "<carol@dest.example> of " + m.ID + " is not in the relay's queue: it is delivered"},
	} {
		for name, do := range map[string]func() error{
			"hold": func() error { _, err := w.e.Hold(t.Context(), c.o); return err },
			"fail": func() error { _, err := w.e.GiveUp(t.Context(), c.o); return err },
		} {
			if err := do(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %v: %v", name, c.o, err)
			}
		}
	}
	claims, err := w.store.Claim(t.Context(), "dest.example", w.clock(), w.clock().Add(time.Minute), 10)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	for range 2 { // also with others that could be
		if _, err := w.e.Hold(t.Context(), order(m.ID, "x")); !errors.Is(err, ErrDelivering) || !strings.Contains(err.Error(), "try again in a minute") {
			t.Errorf("leased: %v", err)
		}
		if _, err := w.e.GiveUp(t.Context(), order(m.ID, "x")); !errors.Is(err, ErrDelivering) || len(w.reports()) != 0 {
			t.Errorf("leased: %v", err)
		}
	}
	if got := w.states(m); got != "queued delivered queued" {
		t.Error(got)
	}
	back := w.queue(func(m *spool.Message) { m.Recipients[0].Delivery = spool.Delivery{} }, "bob@dest.example")
	if _, err := w.e.Hold(t.Context(), order(back.ID, "x")); !errors.Is(err, spool.ErrConflict) || !strings.Contains(err.Error(), "on its way back to the MTA") {
		t.Errorf("in another queue: %v", err)
	}
}

// Given up: one report to the sender with the reason, whatever the destinations, and
// what the last try brought; nothing is tried any more.
func TestGiveUp(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT": "452 4.2.2 Over quota"})})
	w.server("other.example", "mx.other.example", "203.0.113.7", 10, nil)
	home := w.server("example.com", "mx.example.com", "203.0.113.6", 10, &box{})
	m := w.queue(func(m *spool.Message) {
		m.Recipients[0].Delivery.Original, m.EnvelopeID = "rfc822;robert@dest.example", "QQ314159"
	}, "bob@dest.example", "carol@dest.example", "dora@other.example")
	w.pass()
	given, err := w.e.GiveUp(t.Context(), order(m.ID, "the company has closed", "bob@dest.example", "dora@other.example"))
	if err != nil || len(given.To) != 2 || given.Told != address("ann@example.com") || w.states(m) != "bounced queued bounced" {
		t.Fatalf("%+v, %v: %s", given, err, w.states(m))
	}
	if e := w.lastEntry(m.ID); e.Action != spool.ActionBounce || e.Actor != "root" || e.Reason != "the company has closed" || e.Where != "reported to <ann@example.com>" {
		t.Errorf("%+v", e)
	}
	w.until(time.Hour)
	mails := home.got()
	if len(mails) != 1 || mails[0].from[:12] != "MAIL FROM:<>" || !strings.HasPrefix(mails[0].content, "DKIM-Signature: fresh\n") {
		t.Fatalf("%+v", mails)
	}
	for _, want := range []string{
		"An administrator of relay.example.com gave it up, saying: the company\nhas closed", "452 4.2.2 Over quota",
		"Original-Envelope-Id: QQ314159", "Original-Recipient: rfc822;robert@dest.example\nFinal-Recipient: rfc822; bob@dest.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: x-mailgate; An",
		"Final-Recipient: rfc822; dora@other.example", "Content-Type: text/rfc822-headers",
	} {
		if !strings.Contains(mails[0].content, want) {
			t.Errorf("no %q in\n%s", want, mails[0].content)
		}
	}
	if strings.Contains(mails[0].content, "carol") || strings.Contains(mails[0].content, "smtp; 452") {
		t.Errorf("%s", mails[0].content)
	}
	got := w.recipients(m)
	if got[0].Delivery.Tries != 1 || got[0].Delivery.Answer == "" || got[1].Delivery.Tries < 2 {
		t.Errorf("%+v", got)
	}
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "again", "bob@dest.example")); !errors.Is(err, spool.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
}

// What is held by hand can be given up; what is held for another reason can't.
func TestGiveUpWhatIsHeldByHand(t *testing.T) {
	w := newWorld(t)
	m := w.queue(nil, "bob@dest.example", "carol@dest.example")
	if _, err := w.e.Hold(t.Context(), order(m.ID, "wait", "bob@dest.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); err != nil || w.states(m) != "bounced bounced" || len(w.reports()) != 1 {
		t.Errorf("%v: %s, %d reports", err, w.states(m), len(w.reports()))
	}
	refused := w.queue(func(m *spool.Message) {
		m.Recipients[0].State, m.Recipients[0].Reason, m.Recipients[0].Delivery = spool.Held, spool.Refused, spool.Delivery{}
	}, "bob@dest.example")
	if _, err := w.e.GiveUp(t.Context(), order(refused.ID, "enough")); !errors.Is(err, spool.ErrConflict) || w.states(refused) != "held" {
		t.Errorf("%v: %s", err, w.states(refused))
	}
}

// Who is told: nobody who doesn't want to hear of failures, and for the null sender
// the postmaster or nobody.
func TestGiveUpTells(t *testing.T) {
	for _, c := range []struct{ sender, notify, postmaster, want string }{
		{"ann@example.com", "", "post@home.example", "ann@example.com"},
		{"ann@example.com", "NEVER", "post@home.example", ""},
		{"ann@example.com", "DELAY", "", ""},
		{"ann@example.com", "FAILURE", "", "ann@example.com"},
		{"", "", "", ""},
		{"", "", "post@home.example", "post@home.example"},
		{"", "", "bob@dest.example", ""},
	} {
		w := newWorld(t)
		if c.postmaster != "" {
			w.settings.Postmaster = address(c.postmaster)
		}
		m := w.queue(func(m *spool.Message) {
			m.Recipients[0].Delivery.Notify = c.notify
			if c.sender == "" {
				m.Envelope.From = mail.Address{}
			}
		}, "bob@dest.example")
		given, err := w.e.GiveUp(t.Context(), order(m.ID, "enough"))
		if err != nil || given.Told.String() != c.want || w.states(m) != "bounced" {
			t.Errorf("%+v: %+v, %v, %s", c, given, err, w.states(m))
		}
		reports := w.reports()
		if len(reports) > 1 || len(reports) == 1 != (c.want != "") || c.want != "" && !strings.Contains(reports[0], "To: <"+c.want+">") {
			t.Errorf("%+v: %v", c, reports)
		}
	}
}

// Nothing is given up before its report is in custody: it goes on as it was.
func TestGiveUpReportComesFirst(t *testing.T) {
	w := newWorld(t)
	full := &noCustody{spool.ErrFull}
	full.take(w)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	m := w.queue(nil, "bob@dest.example", "carol@dest.example")
	w.pass()
	if _, err := w.e.Hold(t.Context(), order(m.ID, "wait", "carol@dest.example")); err != nil {
		t.Fatal(err)
	}
	before := w.recipients(m)[0]
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("%v", err)
	}
	after := w.recipients(m)[0]
	if w.states(m) != "queued held" || after.Delivery != before.Delivery {
		t.Errorf("%s\n%+v, was\n%+v", w.states(m), after, before)
	}
	full.err = nil
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); err != nil || w.states(m) != "bounced bounced" {
		t.Errorf("%v: %s", err, w.states(m))
	}
}

// A crash after the report: the message stays back, and can be given up again.
func TestGiveUpAfterACrash(t *testing.T) {
	w := newWorld(t)
	m := w.queue(nil, "bob@dest.example")
	stopped := &noCustody{spool.ErrStopped} // as if the process ended here
	stopped.take(w)
	w.e.o.Messages = onlyOnce{w.e.o.Messages, new(int)}
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); !errors.Is(err, spool.ErrStopped) || !strings.Contains(err.Error(), m.ID+" stays held by hand") {
		t.Errorf("%v", err)
	}
	w.engine(nil)
	w.until(time.Hour)
	if r := w.recipients(m)[0]; r.State != spool.Held || r.Reason != spool.ByHand || r.Delivery.Tries != 0 {
		t.Errorf("%+v", r)
	}
	if e := w.lastEntry(m.ID); e.Reason != "to be given up: enough" {
		t.Errorf("%+v", e)
	}
	if _, err := w.e.GiveUp(t.Context(), order(m.ID, "enough")); err != nil || w.states(m) != "bounced" {
		t.Errorf("%v: %s", err, w.states(m))
	}
}

// RET=FULL: the whole message comes back when it fails and is 7-bit, and its header
// otherwise: also to a server without 8BITMIME.
func TestReturnsWhatWasAskedFor(t *testing.T) {
	eight := strings.Replace(letter, "body", "für Sie", 1)
	long := letter + strings.Repeat("a line of the message\r\n", 4000)
	for _, c := range []struct{ ret, content, want string }{
		{"FULL", letter, "Content-Type: message/rfc822\n\nFrom: ann@example.com\nSubject: hello\nMessage-ID: <1@example.com>\n\n.dots\nbody\n\n--"},
		{"FULL", eight, "Content-Type: text/rfc822-headers\n\nFrom: ann@example.com\nSubject: hello\nMessage-ID: <1@example.com>\n\n--"},
		{"HDRS", letter, "Content-Type: text/rfc822-headers\n\nFrom: ann@example.com\nSubject: hello\nMessage-ID: <1@example.com>\n\n--"},
		{"", letter, "Content-Type: text/rfc822-headers\n\n"},
		{"FULL", long, "Content-Type: text/rfc822-headers\n\n"},
	} {
		w := newWorld(t)
		w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT": "550 5.1.1 no"})})
		home := w.server("example.com", "mx.example.com", "203.0.113.6", 10, &box{extensions: []string{"SIZE 1000000"}})
		m := w.queue(func(m *spool.Message) { m.Return, m.Evidence = c.ret, []byte(c.content) }, "bob@dest.example")
		w.pass()
		w.want(m, spool.Bounced, "550 5.1.1 no")
		if got := home.got(); len(got) != 1 || !strings.Contains(got[0].content, c.want) {
			t.Errorf("RET=%s of %d bytes: want %q\n%+v", c.ret, len(c.content), c.want, got)
		}
	}
}

// onlyOnce moves once, and then has stopped.
type onlyOnce struct {
	Messages
	moves *int
}

func (o onlyOnce) Move(ctx context.Context, m spool.Move) error {
	if *o.moves++; *o.moves > 1 {
		return spool.ErrStopped
	}
	return o.Messages.Move(ctx, m)
}
