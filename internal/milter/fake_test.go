package milter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// fakeGate holds who is named hold@…, signs what is trusted and keeps what it saw.
type fakeGate struct {
	mu   sync.Mutex
	seen []*fakeTx

	refusal  func(mail.Envelope) *gate.Reply // at end of header
	atBegin  func()
	atWrite  func() error
	atFinish func(*fakeTx, *gate.Outcome)
	forget   bool // keep nothing: for measuring memory
}

func (g *fakeGate) Begin(_ context.Context, env mail.Envelope, h mail.Header, trusted bool) Transaction {
	return g.begin(&fakeTx{gate: g, env: env, header: h, trusted: trusted})
}

func (g *fakeGate) BeginReleased(_ context.Context, env mail.Envelope, h mail.Header) Transaction {
	return g.begin(&fakeTx{gate: g, env: env, header: h, trusted: true, released: true})
}

func (g *fakeGate) BeginOwn(_ context.Context, env mail.Envelope, h mail.Header) Transaction {
	return g.begin(&fakeTx{gate: g, env: env, header: h, trusted: true, released: true, own: true})
}

func (g *fakeGate) begin(tx *fakeTx) Transaction {
	if !g.forget {
		g.mu.Lock()
		g.seen = append(g.seen, tx)
		g.mu.Unlock()
	}
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
	gate              *fakeGate
	env               mail.Envelope
	header            mail.Header
	trusted, released bool
	own               bool // by BeginOwn
	body              []byte
	sum               [32]byte
	canceled          bool
}

func (tx *fakeTx) Refusal() *gate.Reply {
	if tx.gate.refusal == nil || !tx.trusted {
		return nil
	}
	return tx.gate.refusal(tx.env)
}
func (tx *fakeTx) NeedsBody() bool { return tx.trusted }
func (tx *fakeTx) Err() error      { return nil }
func (tx *fakeTx) Cancel()         { tx.canceled = true }

func (tx *fakeTx) MayHold() bool {
	out := tx.Explain()
	return len(out.Held()) > 0
}

func (tx *fakeTx) Write(p []byte) (int, error) {
	if tx.gate.atWrite != nil {
		if err := tx.gate.atWrite(); err != nil {
			return 0, err
		}
	}
	if !tx.gate.forget {
		tx.body = append(tx.body, p...)
	}
	h := sha256.New()
	h.Write(tx.sum[:])
	h.Write(p)
	h.Sum(tx.sum[:0])
	return len(p), nil
}

func (tx *fakeTx) Explain() *gate.Outcome {
	out := &gate.Outcome{Why: "because"}
	for _, to := range tx.env.To {
		r := gate.Recipient{Address: to, Disposition: gate.Pass}
		if to.Local == "hold" && tx.trusted && !tx.released {
			r.Disposition, r.Cause = gate.Hold, gate.CauseRefused
			r.Prediction.Rule = "gmail-unauthenticated"
			r.Prediction.Codes = []string{"dkim-missing"}
		}
		out.Recipients = append(out.Recipients, r)
	}
	return out
}

func (tx *fakeTx) Finish(context.Context) *gate.Outcome {
	out := tx.Explain()
	for _, s := range []string{"first", "second"} {
		raw := "DKIM-Signature: a=" + s + "; d=example.com;\r\n\ts=" + s + "; b=x\r\n"
		out.Signatures = append(out.Signatures, mail.Field{Name: "DKIM-Signature", Raw: []byte(raw)})
	}
	if tx.gate.atFinish != nil {
		tx.gate.atFinish(tx, out)
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

// fakeTokens knows one token, good once.
type fakeTokens struct {
	mu     sync.Mutex
	good   string
	notice bool // of a notice, instead of a message in custody
}

func (f *fakeTokens) Redeem(_ context.Context, token string) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token == "store-down" {
		return "", false, errors.New("store is down")
	}
	if f.good == "" || token != f.good {
		return "", false, nil
	}
	f.good = ""
	if f.notice {
		return "", true, nil
	}
	return "q7f3a", true, nil
}

// rig is a server under test.
type rig struct {
	server  *Server
	gate    *fakeGate
	spool   *fakeSpool
	tokens  *fakeTokens
	network string
	address string
	dial    func() (net.Conn, error)
	log     *logBuffer
	metrics *prometheus.Registry
	stop    context.CancelFunc
	stopped chan error
}

// start runs a server on a Unix socket until the end of the test.
func start(t testing.TB, change func(*Server)) *rig {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "m")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, change)
}

func startOn(t testing.TB, ln net.Listener, change func(*Server)) *rig {
	t.Helper()
	r := &rig{
		gate: &fakeGate{}, spool: &fakeSpool{}, tokens: &fakeTokens{good: "sesame"}, log: &logBuffer{},
		network: ln.Addr().Network(), address: ln.Addr().String(),
		metrics: prometheus.NewRegistry(), stopped: make(chan error, 1),
	}
	r.server = &Server{
		Gate: r.gate, Custody: r.spool, Redeemer: r.tokens,
		Trusted:  In([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}),
		Log:      slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics:  NewMetrics(r.metrics),
		SpillDir: t.TempDir(), DrainTimeout: 50 * time.Millisecond, FrameTimeout: time.Hour,
	}
	r.dial = func() (net.Conn, error) { return net.Dial(r.network, r.address) }
	if change != nil {
		change(r.server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.stopped <- r.server.Serve(ctx, ln); close(r.stopped) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.stopped; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// hang is when a test is sure that nothing more will come. No limit of a server under
// test is near it.
const hang = 2 * time.Minute

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
func (l *logBuffer) has(t *testing.T, s string) {
	t.Helper()
	eventually(t, "log with "+s, func() bool { return strings.Contains(l.String(), s) })
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still no %s", what)
		}
	}
}

// globalLog collects what goes to the standard logger: the library's words.
func globalLog(t testing.TB) *logBuffer {
	l := &logBuffer{}
	log.SetOutput(l)
	t.Cleanup(func() { log.SetOutput(io.Discard) })
	return l
}
