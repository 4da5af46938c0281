package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/doortest"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// fakeGate holds who is named hold@…, signs, and keeps what it saw.
type fakeGate struct {
	mu      sync.Mutex
	seen    []*fakeTx
	refusal *gate.Reply // at the end of the header
	atLast  *gate.Reply // at the end of the message
	outcome func(*gate.Outcome)
	atBegin func()
	atWrite func() error
}

func (g *fakeGate) Begin(_ context.Context, env mail.Envelope, h mail.Header, trusted bool) Transaction {
	tx := &fakeTx{gate: g, env: env, header: h, trusted: trusted}
	g.mu.Lock()
	g.seen = append(g.seen, tx)
	g.mu.Unlock()
	if g.atBegin != nil {
		g.atBegin()
	}
	return tx
}

func (g *fakeGate) last(t *testing.T) *fakeTx {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.seen) == 0 {
		t.Fatal("the gate saw no message")
	}
	return g.seen[len(g.seen)-1]
}

type fakeTx struct {
	gate    *fakeGate
	env     mail.Envelope
	header  mail.Header
	trusted bool
	body    []byte
}

func (tx *fakeTx) Refusal() *gate.Reply { return tx.gate.refusal }
func (tx *fakeTx) NeedsBody() bool      { return true }
func (tx *fakeTx) Err() error           { return nil }
func (tx *fakeTx) Cancel()              {}

func (tx *fakeTx) Write(p []byte) (int, error) {
	if tx.gate.atWrite != nil {
		if err := tx.gate.atWrite(); err != nil {
			return 0, err
		}
	}
	tx.body = append(tx.body, p...)
	return len(p), nil
}

func (tx *fakeTx) Explain() *gate.Outcome {
	out := &gate.Outcome{Why: "because"}
	out.From, _ = tx.header.From()
	for _, to := range tx.env.To {
		r := gate.Recipient{Address: to, Disposition: gate.Pass}
		r.Prediction.Verdict = "accept"
		if to.Local == "hold" {
			r.Disposition, r.Cause = gate.Hold, gate.CauseRefused
			r.Prediction.Verdict, r.Prediction.Rule = "refuse", "gmail-unauthenticated"
			r.Prediction.Codes = []string{"dkim-missing"}
		}
		out.Recipients = append(out.Recipients, r)
	}
	return out
}

func (tx *fakeTx) Finish(context.Context) *gate.Outcome {
	out := tx.Explain()
	out.Refusal = tx.gate.atLast
	raw := "DKIM-Signature: a=rsa-sha256; d=example.com;\r\n\ts=mail; b=x\r\n"
	out.Signatures = []mail.Field{{Name: "DKIM-Signature", Raw: []byte(raw)}}
	if tx.gate.outcome != nil {
		tx.gate.outcome(out)
	}
	return out
}

// fakeSpool takes messages into memory, or fails.
type fakeSpool struct {
	mu    sync.Mutex
	err   error
	taken []*spool.Message
	bytes []string
}

func (f *fakeSpool) Take(_ context.Context, m *spool.Message, content io.Reader) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	m.ID = "q7f3a"
	f.taken = append(f.taken, m)
	f.bytes = append(f.bytes, string(b))
	return nil
}

func (f *fakeSpool) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

// last returns the last message taken, with its bytes.
func (f *fakeSpool) last(t testing.TB) (*spool.Message, string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.taken) == 0 {
		t.Fatal("nothing was taken")
	}
	return f.taken[len(f.taken)-1], f.bytes[len(f.bytes)-1]
}

// rig is a server under test on a TCP port of this machine, or over pipes.
type rig struct {
	*Server
	gate    *fakeGate
	spool   *fakeSpool
	at      net.Listener
	address string
	log     *logBuffer
	metrics *prometheus.Registry
	stop    context.CancelFunc
	stopped chan error
}

func loopback() func(netip.Addr) (Rights, bool) {
	return In([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
}

func nobody(netip.Addr) (Rights, bool) { return Rights{}, false }

// start runs a server until the end of the test: on a TCP port, unless change gives it
// a listener.
func start(t testing.TB, change func(*Config, *Listener)) *rig {
	t.Helper()
	r := &rig{
		gate: &fakeGate{}, spool: &fakeSpool{}, log: &logBuffer{},
		metrics: prometheus.NewRegistry(), stopped: make(chan error, 1),
	}
	config := Config{
		Name: "mx1.example.com", Gate: r.gate, Custody: r.spool, SpillDir: t.TempDir(),
		Log:     newLog(r.log),
		Metrics: NewMetrics(r.metrics),
		Limits:  Limits{Drain: 50 * time.Millisecond, Proxy: time.Hour},
		Now:     func() time.Time { return time.Date(2026, 11, 21, 16, 22, 3, 0, time.UTC) },
	}
	l := Listener{Trusted: loopback()}
	if change != nil {
		change(&config, &l)
	}
	if l.Listener == nil {
		var err error
		if l.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	r.at, r.address = l.Listener, l.Addr().String()
	r.Server = NewServer(config)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.stopped <- r.Serve(ctx, l); close(r.stopped) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.stopped; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// talk is a client that sends bytes as they are.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

// dial connects and reads nothing.
func (r *rig) dial(t testing.TB) *talk {
	t.Helper()
	nc, err := r.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &talk{Conn: nc, t: t, in: bufio.NewReader(nc)}
}

func (r *rig) connect() (net.Conn, error) {
	if p, ok := r.at.(*doortest.Pipes); ok {
		return p.Dial(), nil
	}
	return net.Dial("tcp", r.address)
}

// talk connects, and says EHLO.
func (r *rig) talk(t testing.TB) *talk {
	t.Helper()
	k := r.dial(t)
	k.want("220 mx1.example.com")
	k.say("EHLO client.example.com", "250")
	return k
}

func (k *talk) send(s string) {
	k.t.Helper()
	k.SetWriteDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(k, s); err != nil {
		k.t.Fatalf("send %.40q: %v", s, err)
	}
}

// reply reads one reply, its lines joined by newlines; at the end of the
// connection it is empty.
func (k *talk) reply() string {
	k.t.Helper()
	k.SetReadDeadline(time.Now().Add(hang))
	var all []string
	for {
		line, err := k.in.ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			k.t.Fatal("neither a reply nor the end of the connection")
		}
		if err != nil {
			return strings.Join(all, "\n")
		}
		line = strings.TrimSuffix(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "\n")
		}
	}
}

// want reads a reply that begins so.
func (k *talk) want(prefix string) string {
	k.t.Helper()
	r := k.reply()
	if !strings.HasPrefix(r, prefix) {
		k.t.Fatalf("reply %q, want %q", r, prefix)
	}
	return r
}

// say sends a command and wants a reply.
func (k *talk) say(line, prefix string) string {
	k.t.Helper()
	k.send(line + "\r\n")
	r := k.reply()
	if !strings.HasPrefix(r, prefix) {
		k.t.Fatalf("%.80s: reply %q, want %q", line, r, prefix)
	}
	return r
}

// closed wants the end of the connection.
func (k *talk) closed() {
	k.t.Helper()
	if r := k.reply(); r != "" {
		k.t.Fatalf("reply %q, want the end of the connection", r)
	}
}

// envelope says MAIL and RCPT.
func (k *talk) envelope(to ...string) {
	k.t.Helper()
	k.say("MAIL FROM:<ann@example.com>", "250 2.1.0")
	if len(to) == 0 {
		to = []string{"bob@gmail.com"}
	}
	for _, a := range to {
		k.say("RCPT TO:<"+a+">", "250 2.1.5")
	}
}

// data begins a message.
func (k *talk) data(to ...string) {
	k.t.Helper()
	k.envelope(to...)
	k.say("DATA", "354")
}

// letter is a whole message.
const letter = "From: Ann <ann@example.com>\r\nTo: bob@gmail.com\r\nSubject: Hi\r\n" +
	"Date: Sat, 21 Nov 2026 16:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"

// deliver sends a message and gives the answer.
func (k *talk) deliver(message string, to ...string) string {
	k.t.Helper()
	k.data(to...)
	k.send(message + ".\r\n")
	return k.reply()
}

func newLog(l *logBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// has waits until the log holds s.
func (l *logBuffer) has(t testing.TB, s string) {
	t.Helper()
	eventually(t, "log with "+s, func() bool { return strings.Contains(l.String(), s) })
}

// hang is when a test is sure that nothing more will come.
const hang = 2 * time.Minute

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still no %s", what)
		}
	}
}

// counted is what a metric says for a value of its label.
func (r *rig) counted(t testing.TB, name, value string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == value {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s", name, value)
	return 0
}
