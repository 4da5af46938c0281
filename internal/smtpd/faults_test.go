package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Nothing is taken and nothing refused for good when it is our fault.
func TestStoreFaults(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("take: %w", spool.ErrFull), "452 4.3.1"},
		{spool.ErrStopped, "452 4.3.1"},
		{errors.New("a secret of the store"), "452 4.3.1"},
	} {
		r := start(t, nil)
		r.spool.err = c.err
		k := r.talk(t)
		for range 2 {
			if got := k.deliver(letter); !strings.HasPrefix(got, c.want) || strings.Contains(got, "secret") {
				t.Errorf("%v: %q", c.err, got)
			}
			k.envelope()
			if got := k.chunks(letter, 30, true); !strings.HasPrefix(got, c.want) {
				t.Errorf("%v in chunks: %q", c.err, got)
			}
		}
		r.log.has(t, "verdict=defer")
		if n := r.counted(t, "mailgate_smtpd_errors_total", "custody"); n != 4 {
			t.Errorf("%v faults of custody counted", n)
		}
		r.spool.mu.Lock()
		r.spool.err = nil
		r.spool.mu.Unlock()
		if got := k.deliver(letter); !strings.HasPrefix(got, "250") {
			t.Errorf("after that: %q", got)
		}
	}
}

func TestNoRoomForCopy(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.SpillDir = "/dev/null/none" })
	k := r.talk(t)
	if got := k.deliver(sized(300_000)); !strings.HasPrefix(got, "452 4.3.1") {
		t.Errorf("reply %q", got)
	}
	if got := k.deliver(letter); !strings.HasPrefix(got, "250") {
		t.Errorf("a small one: %q", got)
	}
}

// The gate's refusal is the answer, whichever way the message comes.
func TestRefusals(t *testing.T) {
	refused := &gate.Reply{Code: 550, Enhanced: "5.7.26", Text: "mailgate: dkim-missing: no key\r\n250 forged \u20ac"}
	waiting := &gate.Reply{Code: 451, Enhanced: "4.4.3", Text: "mailgate is waiting for DNS"}
	odd := &gate.Reply{Code: 250, Enhanced: "5.7.26", Text: "ok?"}
	none := &gate.Reply{}
	for _, c := range []struct {
		reply *gate.Reply
		want  string
	}{
		{refused, "550 5.7.26 mailgate: dkim-missing: no key 250 forged ?"},
		{waiting, "451 4.4.3 mailgate is waiting for DNS"},
		{odd, "451 4.7.1 ok?"},
		{none, "451 4.7.1 "},
	} {
		for _, when := range []string{"at the end of the header", "at the end"} {
			r := start(t, nil)
			if when == "at the end" {
				r.gate.atLast = c.reply
			} else {
				r.gate.refusal = c.reply
			}
			k := r.talk(t)
			if got := k.deliver(letter + "more\r\n"); got != c.want {
				t.Errorf("%s: %q, want %q", when, got, c.want)
			}
			k.envelope()
			k.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(letter), letter))
			if got := k.reply(); got != c.want {
				t.Errorf("%s, chunk: %q, want %q", when, got, c.want)
			}
			k.say("NOOP", "250")
			if r.spool.count() != 0 {
				t.Error("taken all the same")
			}
		}
	}
}

// A verdict that no door could follow lets nothing slip out.
func TestOddOutcome(t *testing.T) {
	for name, change := range map[string]func(*gate.Outcome){
		"a recipient less": func(o *gate.Outcome) { o.Recipients = o.Recipients[1:] },
		"another":          func(o *gate.Outcome) { o.Recipients[0].Address = mail.Address{Local: "eve", Domain: "example.net"} },
		"rejected alone":   func(o *gate.Outcome) { o.Recipients[0].Disposition = gate.Reject },
		"nothing":          func(o *gate.Outcome) { o.Recipients[0].Disposition = "" },
	} {
		r := start(t, nil)
		r.gate.outcome = change
		if got := r.talk(t).deliver(letter, "bob@gmail.com", "bob@example.net"); !strings.HasPrefix(got, "451 4.3.0") {
			t.Errorf("%s: %q", name, got)
		}
		if r.spool.count() != 0 {
			t.Errorf("%s: taken all the same", name)
		}
	}
}

// A panic costs the session and no other.
func TestPanic(t *testing.T) {
	for name, set := range map[string]func(*fakeGate){
		"at the header": func(g *fakeGate) { g.atBegin = func() { panic("header") } },
		"in the body":   func(g *fakeGate) { g.atWrite = func() error { panic("body") } },
		"at the end":    func(g *fakeGate) { g.outcome = func(*gate.Outcome) { panic("end") } },
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", name, chunked), func(t *testing.T) {
				r := start(t, nil)
				other := r.talk(t)
				k := r.talk(t)
				set(r.gate)
				if chunked {
					k.envelope()
					k.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(letter), letter))
				} else {
					k.data()
					k.send(letter + ".\r\n")
				}
				k.want("451 4.3.0")
				k.closed()
				r.log.has(t, "smtpd: panic")
				other.say("NOOP", "250")
				r.gate.atBegin, r.gate.atWrite, r.gate.outcome = nil, nil, nil
				if got := other.deliver(letter); !strings.HasPrefix(got, "250") {
					t.Errorf("another session: %q", got)
				}
			})
		}
	}
}

type panicUsers struct{}

func (panicUsers) Check(context.Context, string, string) (Rights, bool, error) { panic("users") }

func TestPanicInAUTH(t *testing.T) {
	k := secured(t, TLSOffered, func(_ *Config, l *Listener) { l.Users = panicUsers{} }).talk(t)
	k.startTLS()
	k.say("AUTH PLAIN "+b64("\x00ann\x00x"), "451 4.3.0")
	k.closed()
}

// blocked is a store that takes its time.
type blocked struct {
	fakeSpool
	entered, leave chan struct{}
}

func (b *blocked) Take(ctx context.Context, m *spool.Message, content io.Reader) error {
	b.entered <- struct{}{}
	<-b.leave
	return b.fakeSpool.Take(ctx, m, content)
}

// Stopping: who waits is told so, a message in hand is finished.
func TestStop(t *testing.T) {
	store := &blocked{entered: make(chan struct{}), leave: make(chan struct{})}
	r := start(t, func(c *Config, _ *Listener) { c.Custody, c.Limits.Drain = store, hang })
	idle, inHand, chunked := r.talk(t), r.talk(t), r.talk(t)
	inHand.data()
	inHand.send(letter + ".\r\n")
	<-store.entered
	chunked.envelope()
	chunked.send("BDAT 5\r\nFrom:")
	chunked.want("250 2.0.0 chunk")
	r.stop()
	idle.want("421 4.3.2")
	idle.closed()
	close(store.leave)
	inHand.want("250 2.0.0 taken")
	inHand.want("421 4.3.2")
	inHand.closed()
	rest := letter[5:]
	chunked.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(rest), rest))
	<-store.entered
	chunked.want("250 2.0.0 taken")
	chunked.want("421 4.3.2")
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
	if err := r.at.(*net.TCPListener).SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("still listening: %v", err)
	}
}

// Stopping doesn't wait for ever for a message that doesn't come.
func TestStopCuts(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	k.data()
	k.send(letter)
	eventually(t, "message in hand", func() bool { return working("(*content)") })
	r.stop()
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
	r.log.has(t, "work still in hand")
	if r.spool.count() != 0 {
		t.Error("half a message was taken")
	}
}

// failing fails to accept a few times, and then for good.
type failing struct {
	closedListener
	times int
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }

func (f *failing) Accept() (net.Conn, error) {
	if f.times--; f.times >= 0 {
		return nil, temporary{errors.New("too many open files")}
	}
	return nil, errors.New("gone")
}

func TestAccept(t *testing.T) {
	log := &logBuffer{}
	s := NewServer(Config{Log: newLog(log)})
	err := s.Serve(t.Context(), Listener{Listener: &failing{times: 2}})
	if err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("error %v", err)
	}
	if n := strings.Count(log.String(), "trying again"); n != 2 {
		t.Errorf("tried again %d times", n)
	}
}
