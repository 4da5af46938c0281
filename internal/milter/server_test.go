package milter

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mta "github.com/d--j/go-milter"
	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/doortest"
	"mailgate/internal/gate"
)

// Over the limit a connection waits until another ends.
func TestConnectionLimit(t *testing.T) {
	r := start(t, func(s *Server) { s.MaxConns = 2 })
	first, second := r.session(t, trustedClient), r.session(t, trustedClient)
	c := r.raw(t)
	c.send(everything)
	r.log.has(t, "connection limit reached")
	first.send(hello("bob@example.net")).want(t, mta.ActionAccept)
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("a third connection is served")
	}
	second.Close()
	c.wants('O')
}

// Slow and silent clients lose their connection, whether or not they go on to send
// a byte now and then.
func TestSlowClients(t *testing.T) {
	for name, test := range map[string]struct {
		talk func(*raw)
		took time.Duration // until the connection is closed
	}{
		"says nothing": {func(c *raw) { c.closed() }, 30 * time.Second},
		"idle": {func(c *raw) {
			c.send(opening)
			c.opened()
			c.closed()
		}, 2 * time.Hour},
		"a byte at a time": {func(c *raw) {
			c.send(envelope)
			c.opened()
			go func() {
				for _, b := range encode('L', strings.Repeat("x", 4000)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			c.closed()
		}, 33 * time.Second}, // the length has its own time
		"doesn't read": {func(c *raw) {
			c.send(everything)
			if _, err := c.Write(encode('U', "")); !errors.Is(err, io.ErrClosedPipe) {
				c.t.Errorf("written to who doesn't read: %v", err)
			}
		}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := doortest.NewPipes()
				r := startOn(t, ln, func(s *Server) { s.FrameTimeout = 0 }) // the defaults
				r.dial = func() (net.Conn, error) { return ln.Dial(), nil }
				c := r.raw(t)
				c.patience = 24 * time.Hour
				began := time.Now()
				test.talk(c)
				if took := time.Since(began); took != test.took {
					t.Errorf("closed after %v in the bubble's time, want %v", took, test.took)
				}
				r.log.has(t, "i/o timeout")
				time.Sleep(time.Minute) // whoever still sends hears of it
			})
		})
	}
}

// Stopping ends idle connections at once and lets a message in hand come to its
// answer.
func TestDrain(t *testing.T) {
	r := start(t, func(s *Server) { s.DrainTimeout = time.Minute })
	idle := r.raw(t)
	idle.send(opening)
	idle.opened()
	busy := r.raw(t)
	busy.send(conversation(envelope, encode('L', fromPayload), encode('N', "")))
	busy.opened()
	busy.wants('c')

	r.stop()
	idle.closed()
	if _, err := net.Dial(r.network, r.address); err == nil {
		t.Error("still listening")
	}
	busy.send(conversation(encode('B', "x\r\n"), encode('E', "")))
	busy.wants('i')
	busy.wants('i')
	busy.wants('a')
	busy.closed()
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
}

// A message that never ends doesn't keep the server from stopping.
func TestDrainDeadline(t *testing.T) {
	r := start(t, nil)
	busy := r.raw(t)
	busy.send(envelope)
	busy.opened()
	eventually(t, "session", func() bool { return r.sessions(t) == 1 })
	r.stop()
	busy.closed()
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
}

// faultyListener fails a few times before it accepts, and then for good.
type faultyListener struct {
	net.Listener
	faults   atomic.Int32
	accepted atomic.Bool
	last     error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if l.faults.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	if l.last != nil && l.accepted.Swap(true) {
		return nil, l.last
	}
	return l.Listener.Accept()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestAcceptTemporaryError(t *testing.T) {
	ln := &faultyListener{Listener: listen(t)}
	ln.faults.Store(3)
	r := startOn(t, ln, nil)
	r.session(t, trustedClient).send(hello("bob@example.net")).want(t, mta.ActionAccept)
	if n := strings.Count(r.log.String(), "accept failed"); n != 3 {
		t.Errorf("%d lines about failed accepts", n)
	}
}

func TestAcceptError(t *testing.T) {
	ln := &faultyListener{Listener: listen(t), last: errors.New("gone")}
	s := &Server{Gate: &fakeGate{}, DrainTimeout: time.Millisecond}
	stopped := make(chan error)
	go func() { stopped <- s.Serve(t.Context(), ln) }()
	nc, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := <-stopped; err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Serve: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	r := start(t, nil)
	s := r.session(t, trustedClient)
	s.send(hello("bob@example.net"))
	s.send(hello("hold@example.net"))
	s.send(hello("hold@example.net"))
	r.session(t, stranger).send(hello("bob@example.net"))
	if got := r.messages(t); got["pass yes"] != 1 || got["hold yes"] != 2 || got["pass no"] != 1 {
		t.Errorf("messages %v", got)
	}
}

// messages is how many were counted, by verdict and whether the client is trusted.
func (r *rig) messages(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "mailgate_milter_messages_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			// Labels are in alphabetical order: trusted, verdict.
			got[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return got
}

// Faults are counted from 0, so that an alert sees the first.
func TestErrorsFromZero(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMetrics(r)
	m.failed("custody")
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "mailgate_milter_errors_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if len(got) != len(kinds()) || got["custody"] != 1 {
		t.Errorf("counters %v", got)
	}
}

func TestReplyLine(t *testing.T) {
	tests := []struct {
		reply gate.Reply
		want  string
	}{
		{gate.Reply{Code: 550, Enhanced: "5.7.26", Text: "no"}, "550 5.7.26 no"},
		{gate.Reply{Code: 550, Enhanced: "4.7.1", Text: "no"}, "550 5.0.0 no"},
		{gate.Reply{Code: 451, Enhanced: "", Text: "no"}, "451 4.0.0 no"},
		{gate.Reply{Code: 250, Enhanced: "2.0.0", Text: "no"}, "451 4.7.1 no"},
		{gate.Reply{Code: 550, Enhanced: "5.7.1\r\nX", Text: "a\r\nb\x00\t100%"}, "550 5.0.0 a b? 100%%"},
	}
	for _, test := range tests {
		if got := replyLine(&test.reply); got != test.want {
			t.Errorf("%+v gives %q, want %q", test.reply, got, test.want)
		}
	}
	long := gate.Reply{Code: 550, Enhanced: "5.7.1", Text: strings.Repeat("%", 1000)}
	if got := replyLine(&long); len(got) > maxReply || len(got) < maxReply-2 || strings.Count(got, "%")%2 != 0 {
		t.Errorf("reply of %d bytes", len(got))
	}
}
