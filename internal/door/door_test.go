package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes. What is on faults comes first.
type pipes struct {
	come   chan net.Conn
	faults chan error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{come: make(chan net.Conn), faults: make(chan error, 10), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case err := <-p.faults:
		return nil, err
	default:
	}
	select {
	case c := <-p.come:
		return c, nil
	case err := <-p.faults:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// rig is a door that is open, in a bubble of synctest.
type rig struct {
	t       *testing.T
	ln      *pipes
	door    *Door
	log     text
	stop    context.CancelFunc
	stopped chan error
}

// text is a log that is written and read at the same time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// open opens a door whose sessions answer each byte with the same, and have work in
// hand between 'b' and 'e'.
func open(t *testing.T, o Options) *rig {
	r := &rig{t: t, ln: newPipes(), stopped: make(chan error, 1)}
	o.Name, o.Drain = "test", time.Minute
	o.Log = slog.New(slog.NewTextHandler(&r.log, nil))
	r.door = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.stopped <- r.door.Serve(ctx, r.ln, echo) }()
	return r
}

func echo(ctx context.Context, c *Conn) {
	b := make([]byte, 1)
	for {
		err := c.Await(time.Now().Add(time.Hour))
		if err == nil {
			_, err = c.Read(b)
			err = c.Came(err)
		}
		switch {
		case errors.Is(err, ErrDraining):
			c.SetWriteDeadline(time.Now().Add(10 * time.Second))
			c.Write([]byte("D")) // to who listens
			return
		case err != nil:
			return
		case b[0] == 'p':
			panic("told to")
		case b[0] == 'w':
			<-ctx.Done() // work that hears of nothing else
			time.Sleep(time.Second)
			return
		}
		c.Busy(b[0] == 'b')
		c.Write(b)
	}
}

// come connects, if the door accepts.
func (r *rig) come() net.Conn {
	r.t.Helper()
	here, there := net.Pipe()
	synctest.Wait()
	select {
	case r.ln.come <- there:
	default:
		r.t.Fatal("the door accepts no connection")
	}
	synctest.Wait()
	return here
}

// says what comes back for one byte; "" when the connection is closed, and "…" when
// nobody is there.
func says(c net.Conn, send string) string {
	b := make([]byte, 1)
	c.SetDeadline(time.Now().Add(time.Millisecond))
	defer c.SetDeadline(time.Time{})
	if send != "" {
		if _, err := io.WriteString(c, send); err != nil {
			return word(err)
		}
	}
	if _, err := c.Read(b); err != nil {
		return word(err)
	}
	return string(b)
}

func word(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		return ""
	}
	return "…"
}

func (r *rig) want(c net.Conn, send, want string) {
	r.t.Helper()
	if got := says(c, send); got != want {
		r.t.Errorf("to %q it says %q, want %q", send, got, want)
	}
}

// wantLog counts the lines that have a text in them.
func (r *rig) wantLog(n int, text string) {
	r.t.Helper()
	synctest.Wait()
	if got := strings.Count(r.log.String(), text); got != n {
		r.t.Errorf("%d times %q in the log, want %d:\n%s", got, text, n, &r.log)
	}
}

// close has the door close, and wants Serve to return before Drain is over.
func (r *rig) close() {
	r.t.Helper()
	r.stop()
	time.Sleep(30 * time.Second)
	select {
	case err := <-r.stopped:
		if err != nil {
			r.t.Error(err)
		}
	default:
		r.t.Fatal("Serve doesn't return")
	}
}

// Sessions are held side by side, and what one does harms no other.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := 0
		r := open(t, Options{Panicked: func() { panics++ }})
		a, b := r.come(), r.come()
		r.want(a, "x", "x")
		r.want(b, "y", "y")
		r.want(a, "p", "")
		r.want(b, "z", "z")
		r.wantLog(1, "told to")
		if panics != 1 {
			t.Errorf("told of %d panics", panics)
		}
		r.close()
	})
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{})
		r.come()
		for range 3 {
			r.ln.faults <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		time.Sleep(time.Minute)
		r.wantLog(3, "accept failed, trying again")
		r.wantLog(1, "pause=5ms")
		r.wantLog(1, "pause=20ms")
		r.want(r.come(), "x", "x")

		r.ln.faults <- errors.New("gone")
		if err := <-r.stopped; err == nil || !strings.Contains(err.Error(), "accept connections for test on pipes: gone") {
			t.Errorf("Serve: %v", err)
		}
	})
}

// A door may close while it rests after an error.
func TestCloseBetweenErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{})
		for range cap(r.ln.faults) {
			r.ln.faults <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		time.Sleep(2 * time.Second)
		r.wantLog(1, "pause=1s")
		r.stop()
		synctest.Wait()
		select {
		case err := <-r.stopped:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("it rests first")
		}
	})
}

func TestTurnAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 2, TurnAway: func(c net.Conn) { c.Write([]byte("T")) }})
		a, b := r.come(), r.come()
		c := r.come()
		r.want(c, "", "T")
		r.want(c, "", "")
		a.Close()
		synctest.Wait()
		r.want(r.come(), "x", "x")
		r.want(b, "y", "y")
		r.wantLog(1, "too many connections")
		r.close()
	})
}

// Who doesn't listen to the last word holds up the others for a while only.
func TestTurnAwayDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 1, TurnAway: func(c net.Conn) { c.Write([]byte("T")) }})
		a := r.come()
		r.come()
		a.Close()
		time.Sleep(lastWord)
		r.want(r.come(), "x", "x")
		r.close()
	})
}

// A machine that stands still for some seconds doesn't take the last word away.
func TestTurnAwayLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 1, TurnAway: func(c net.Conn) {
			time.Sleep(5 * time.Second)
			c.Write([]byte("T"))
		}})
		r.come()
		c := r.come()
		time.Sleep(5 * time.Second)
		r.want(c, "", "T")
		r.close()
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 2})
		a, b := r.come(), r.come()
		r.wantLog(0, "limit")
		c := r.come()
		r.want(c, "x", "…")
		r.wantLog(1, "connection limit reached, new connections wait")
		r.want(a, "y", "y")
		b.Close()
		r.want(c, "x", "x")

		d := r.come()
		r.close()
		r.want(d, "x", "")
	})
}

// The limit is that of all listeners together.
func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 1, TurnAway: func(c net.Conn) { c.Write([]byte("T")) }})
		other := &rig{t: t, ln: newPipes()}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.door.Serve(ctx, other.ln, echo) }()
		a := r.come()
		r.want(other.come(), "", "T")
		a.Close()
		r.want(other.come(), "x", "x")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.close()
	})
}

func TestEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{PerClient: 2, Log: slog.New(slog.DiscardHandler)})
		var leave []func()
		for _, c := range []struct {
			client string
			ok     bool
		}{
			{"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.1", true}, {"192.0.2.1", false},
			{"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
			{"2001:db8::1", true}, {"2001:db8::ffff:2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
			{"", true}, {"", true}, {"", false},
		} {
			a, _ := netip.ParseAddr(c.client)
			left, ok := d.Enter(a)
			if ok != c.ok {
				t.Errorf("%q: let in %t, want %t", c.client, ok, c.ok)
			}
			if ok {
				leave = append(leave, left)
			}
		}
		leave[0]()
		if _, ok := d.Enter(netip.MustParseAddr("192.0.2.1")); !ok {
			t.Error("no place after another left")
		}
		for _, left := range leave[1:] {
			left()
		}
		if len(d.clients) != 1 {
			t.Errorf("counted for ever: %v", d.clients)
		}
		any := New(Options{})
		for range 1000 {
			if _, ok := any.Enter(netip.Addr{}); !ok {
				t.Fatal("turned away without a limit")
			}
		}
		time.Sleep(rest)
	})
}

// Closing ends who waits, at once, and waits for work in hand.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{})
		idle, busy := r.come(), r.come()
		r.want(busy, "b", "b")
		r.stop()
		synctest.Wait()
		r.want(idle, "", "D")
		r.want(idle, "", "")
		r.want(busy, "b", "b")
		r.want(busy, "e", "e")
		r.want(busy, "", "D")
		r.close()
		r.wantLog(0, "still in hand")
	})
}

// Work that doesn't end within Drain is cancelled, and its connection closed; Serve
// waits for its session all the same.
func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{})
		busy, deaf := r.come(), r.come()
		r.want(busy, "b", "b")
		r.want(deaf, "w", "…")
		r.stop()
		begin := time.Now()
		if err := <-r.stopped; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != time.Minute+time.Second {
			t.Errorf("waited %v in the bubble's time, want Drain and the second of the work's own", took)
		}
		r.want(busy, "b", "")
		r.want(deaf, "w", "")
		r.wantLog(1, "work still in hand")
	})
}

// counted counts how often it is closed.
type counted struct {
	net.Conn
	closed *int
}

func (c counted) Close() error {
	*c.closed++
	return c.Conn.Close()
}

// Nothing is kept of a connection that has ended.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{})
		here, there := net.Pipe()
		closed := 0
		r.ln.come <- counted{there, &closed}
		here.Close()
		r.want(r.come(), "w", "…")
		r.stop()
		<-r.stopped
		if closed != 1 {
			t.Errorf("closed %d times", closed)
		}
	})
}

// Closing doesn't cut off who has begun to speak.
func TestDrainAmidst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		c := &Conn{Conn: there}
		if err := c.Await(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := c.Came(nil); err != nil {
			t.Fatal(err)
		}
		c.drain()
		go here.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// A session that comes back to its client while the door closes is told so.
func TestAwaitDraining(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	c := &Conn{Conn: there}
	c.Busy(true)
	c.drain()
	if err := c.Await(time.Now().Add(time.Hour)); err != nil || !c.Draining() {
		t.Errorf("with work in hand: %v, draining %t", err, c.Draining())
	}
	if err := c.Came(io.EOF); err != io.EOF {
		t.Errorf("with work in hand: %v", err)
	}
	c.Busy(false)
	if err := c.Await(time.Now().Add(time.Hour)); err != ErrDraining {
		t.Errorf("without: %v", err)
	}
	if err := c.Came(io.EOF); err != ErrDraining {
		t.Errorf("without: %v", err)
	}
	if err := c.Came(nil); err != nil {
		t.Errorf("what has come is dealt with: %v", err)
	}
}

// A flood makes a line a second, which says how many there were.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, Options{Limit: 1, PerClient: 1, TurnAway: func(net.Conn) {}})
		r.come()
		for range 10 {
			r.come()
		}
		r.door.Enter(netip.Addr{})
		r.door.Enter(netip.Addr{}) // one more
		r.wantLog(1, "turned away")
		r.wantLog(0, "count=")
		time.Sleep(rest)
		r.wantLog(1, "count=10")
		r.come()
		r.wantLog(1, "turned away")
		time.Sleep(rest)
		r.wantLog(1, "count=1\n")
		time.Sleep(rest)
		r.come()
		r.wantLog(2, "turned away")
		time.Sleep(2 * rest)
		r.wantLog(2, "count=")
		r.close()
	})
}

func TestSingle(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	through := make(chan struct{})
	l := Single(there, through)
	if c, err := l.Accept(); c != there || err != nil {
		t.Errorf("accepts %v, %v", c, err)
	}
	synctest.Test(t, func(t *testing.T) {
		through := make(chan struct{})
		l := &single{through: through, given: true}
		go func() { time.Sleep(time.Hour); close(through) }()
		begin := time.Now()
		if c, err := l.Accept(); c != nil || err != io.EOF || time.Since(begin) != time.Hour {
			t.Errorf("accepts %v, %v after %v", c, err, time.Since(begin))
		}
	})
	if l.Addr() != there.LocalAddr() || l.Close() != nil {
		t.Error("not the connection's address, or closed")
	}
}

func TestPeer(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	for want, c := range map[string]*Conn{
		"pipe":           {Conn: there},
		"unix":           {Conn: from{there, &net.UnixAddr{Name: "@"}}},
		"192.0.2.1:1025": {Conn: from{there, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1025"))}},
	} {
		if got := c.Peer(); got != want {
			t.Errorf("peer %q, want %q", got, want)
		}
	}
}

type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }
