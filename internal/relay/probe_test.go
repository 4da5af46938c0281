package relay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// probed runs a release against an MTA that shows its milter the senders it is
// given, or not, and answers a probe with answer.
func probed(t *testing.T, m *mta, msg *spool.Message, milter bool, answer error) (*Reinjector, []spool.Handover, error) {
	t.Helper()
	r := start(t, m)
	r.Probes = &Probes{}
	r.ProbeTimeout = 20 * time.Millisecond
	if milter {
		r.ProbeTimeout = time.Minute
	}
	m.refuseMail = func(from string) error {
		address, err := mail.ParsePath(from)
		nonce, isProbe := strings.CutPrefix(address.Local, spool.ProbePrefix)
		if err != nil || !isProbe {
			return err
		}
		m.probes = append(m.probes, from)
		if milter {
			// As it is with Postfix: not before the next command.
			time.AfterFunc(time.Millisecond, func() { r.Probes.Seen(nonce) })
		}
		return answer
	}
	results, err := r.Inject(t.Context(), msg, []mail.Address{bob}, "TOKEN", strings.NewReader(original))
	return r, results, err
}

var (
	notNow = &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 1, 8}, Message: "not now"}
	never  = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "never"}
)

func TestProbe(t *testing.T) {
	for _, answer := range []error{nil, notNow, never} {
		m := &mta{}
		r, results, err := probed(t, m, message(bob), true, answer)
		if err != nil || results[0].Err != nil || m.from != "ann@example.com" || !strings.HasSuffix(m.content, original) {
			t.Errorf("probe answered %v: %+v, %v; message from %q", answer, results, err, m.from)
		}
		if len(m.probes) != 1 || !strings.HasSuffix(m.probes[0], "@example.com") {
			t.Errorf("probes %q", m.probes)
		}
		if len(r.Probes.waiting) != 0 {
			t.Errorf("still waiting for %v", r.Probes.waiting)
		}
	}
}

// A bounce is probed for from our own name, not from the null sender.
func TestProbeForBounce(t *testing.T) {
	m := &mta{}
	msg := message(bob)
	msg.Envelope.From = mail.Address{}
	if _, _, err := probed(t, m, msg, true, nil); err != nil || m.from != "" {
		t.Errorf("message from %q, %v", m.from, err)
	}
	if len(m.probes) != 1 || !strings.HasSuffix(m.probes[0], "@mx1.example.com") {
		t.Errorf("probes %q", m.probes)
	}
}

// Without the milter the MTA is given nothing.
func TestProbeNotSeen(t *testing.T) {
	for _, answer := range []error{nil, never} {
		m := &mta{}
		r, results, err := probed(t, m, message(bob), false, answer)
		if !errors.Is(err, spool.ErrBypassed) || results != nil {
			t.Errorf("probe answered %v: %+v, %v", answer, results, err)
		}
		if answer != nil && !errors.Is(err, answer) && !strings.Contains(err.Error(), "never") {
			t.Errorf("the answer is not told: %v", err)
		}
		if len(m.to) != 0 || m.content != "" || len(r.Probes.waiting) != 0 {
			t.Errorf("sent to %q: %q", m.to, m.content)
		}
	}
}

// An MTA in trouble isn't one without the milter.
func TestProbeNotNow(t *testing.T) {
	m := &mta{}
	_, results, err := probed(t, m, message(bob), false, notNow)
	if err != nil || results[0].Err == nil || results[0].Permanent || !strings.Contains(results[0].Err.Error(), "not now") {
		t.Errorf("%+v, %v", results, err)
	}
	if len(m.to) != 0 || m.content != "" {
		t.Errorf("sent to %q: %q", m.to, m.content)
	}
}

func TestProbes(t *testing.T) {
	p := &Probes{}
	p.Seen("unasked")
	a, seenA, cancelA := p.Expect()
	b, seenB, cancelB := p.Expect()
	p.Seen(b)
	p.Seen(b)
	<-seenB
	select {
	case <-seenA:
		t.Error("one probe taken for another")
	default:
	}
	cancelA()
	cancelB()
	p.Seen(a)
	if len(p.waiting) != 0 || a == b {
		t.Errorf("waiting %v", p.waiting)
	}
}
