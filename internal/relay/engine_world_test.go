package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/store"
	"mailgate/internal/tlspolicy"
)

// world is an Engine over a real store, with an Internet of its own.
type world struct {
	t        testing.TB
	e        *Engine
	store    *store.Store
	settings Settings
	findings map[string]string
	signed   []string // ids
	signing  error
	table    *tlspolicy.Table
	log      *strings.Builder

	mu     sync.Mutex
	now    time.Time
	mx     map[mail.Domain][]MX
	mxErr  map[mail.Domain]error
	hosts  map[mail.Domain][]netip.Addr
	errs   map[mail.Domain]error
	boxes  map[netip.Addr]*box
	dialed []netip.AddrPort
	local  []netip.Addr // addresses come from
	gate   chan struct{}

	hostPolicies map[mail.Domain]tlspolicy.Policy // instead of the table's
	policyErr    error
	learned      []tlspolicy.Learned
	sessions     []TLSSession
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), log: &strings.Builder{},
		settings: Settings{Hostname: "relay.example.com"},
		mx:       map[mail.Domain][]MX{}, mxErr: map[mail.Domain]error{}, hosts: map[mail.Domain][]netip.Addr{}, errs: map[mail.Domain]error{},
		boxes: map[netip.Addr]*box{}, hostPolicies: map[mail.Domain]tlspolicy.Policy{},
	}
	w.policies()
	empty, err := emptyStore()
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/q.db"
	if err := os.WriteFile(file, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+file, store.Options{Now: w.clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.store = s
	w.engine(nil)
	return w
}

// emptyStore is the file of a store without messages: to make one for each test would
// take longer than the tests.
var emptyStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "relay-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(context.Background(), "sqlite:"+dir+"/q.db", store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(dir + "/q.db")
})

// engine starts a new process, so to say.
func (w *world) engine(roots *x509.CertPool) {
	w.e = New(Options{
		Queue: w.store, Bodies: w.store, Messages: w.store, Custody: w.store, Resolver: w, Policies: w, Results: w, Signer: w, RootCAs: roots,
		Settings: func() Settings { return w.settings },
		Findings: func(context.Context, mail.Domain, mail.Domain) map[string]string { return w.findings },
		Notes:    w.store,
		Logger:   slog.New(slog.NewTextHandler(&locked{w: w.log}, nil)),
		Now:      w.clock,
		Local:    func() []netip.Addr { return []netip.Addr{addr("127.0.0.1"), addr("192.0.2.1"), addr("2001:db8::1")} },
		Dial:     w.dial,
	})
	e := w.e
	e.parked.linger = time.Hour // on a slow machine, too
	w.t.Cleanup(func() { e.parked.closeAll() })
}

type locked struct {
	mu sync.Mutex
	w  *strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) policies(overrides ...tlspolicy.Override) {
	table, err := tlspolicy.NewTable(overrides, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.table = table
}

// Lookup gives the policy of the test for a host, or the table's.
func (w *world) Lookup(ctx context.Context, d tlspolicy.Destination) (tlspolicy.Policy, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.hostPolicies[d.Host]; ok {
		return p, w.policyErr
	}
	if w.policyErr != nil {
		return tlspolicy.Policy{}, w.policyErr
	}
	return w.table.Lookup(ctx, d)
}

func (w *world) Learn(_ context.Context, host mail.Domain, l tlspolicy.Learned) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Host = host
	w.learned = append(w.learned, l)
	return nil
}

func (w *world) Session(s TLSSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, s)
}

func (w *world) MX(_ context.Context, d mail.Domain) ([]MX, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mx[d], false, w.mxErr[d]
}

func (w *world) Addresses(_ context.Context, d mail.Domain) ([]netip.Addr, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[d], false, w.errs[d]
}

func (w *world) Sign(_ context.Context, m *spool.Message, content io.Reader) ([]byte, error) {
	all, err := io.ReadAll(content)
	if err != nil || w.signing != nil {
		return nil, errors.Join(err, w.signing)
	}
	if m.From.Domain == "foreign.example" {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signed = append(w.signed, m.ID)
	if strings.Contains(string(all), "DKIM-Signature") {
		w.t.Errorf("an old signature is signed:\n%s", all)
	}
	return []byte("DKIM-Signature: fresh\r\n"), nil
}

func (w *world) dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, remote)
	w.local = append(w.local, local)
	b, gate := w.boxes[remote.Addr()], w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if b == nil {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", b.listener.Addr().String())
}

// server puts a box at an address and lets it be the MX host of a domain.
func (w *world) server(d mail.Domain, host mail.Domain, ip string, preference uint16, b *box) *box {
	w.t.Helper()
	w.mx[d] = append(w.mx[d], MX{host, preference})
	w.hosts[host] = append(w.hosts[host], addr(ip))
	if b != nil {
		w.boxes[addr(ip)] = startBox(w.t, b)
	}
	return b
}

const letter = "From: ann@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n\r\n.dots\r\nbody\r\n"

// queue takes a message for some recipients, signed just now.
func (w *world) queue(change func(*spool.Message), to ...string) *spool.Message {
	w.t.Helper()
	m := &spool.Message{
		Source: "relay", Received: w.clock(), Envelope: mail.Envelope{From: address("ann@example.com")}, From: address("ann@example.com"),
		Prefix: []byte("DKIM-Signature: old\r\nReceived: from x by relay.example.com\r\n"), Signed: w.clock(), Subject: "hello",
	}
	for _, a := range to {
		m.Envelope.To = append(m.Envelope.To, address(a))
		m.Recipients = append(m.Recipients, spool.Recipient{
			Address: address(a), State: spool.Queued, Provider: "other", Delivery: spool.Delivery{Next: w.clock(), Expected: "accept"},
		})
	}
	if change != nil {
		change(m)
	}
	body := letter
	if m.Evidence != nil { // the test's own bytes
		body, m.Evidence = string(m.Evidence), nil
	}
	if err := w.store.Take(w.t.Context(), m, strings.NewReader(body)); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func address(s string) mail.Address {
	a, err := mail.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return a
}

// pass delivers all that is due.
func (w *world) pass() {
	w.t.Helper()
	for range 1000 {
		if err := w.e.dispatch(w.t.Context(), w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.e.work.Wait()
		due, err := w.store.Due(w.t.Context(), w.clock(), nil, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(due) == 0 {
			return
		}
	}
	w.t.Fatal("there is no end to it")
}

// until goes on from due time to due time.
func (w *world) until(d time.Duration) {
	w.t.Helper()
	end := w.clock().Add(d)
	for {
		w.pass()
		next, err := w.store.NextDue(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if next.IsZero() || next.After(end) {
			w.advance(end.Sub(w.clock()))
			return
		}
		w.advance(max(next.Sub(w.clock()), time.Second))
	}
}

func (w *world) recipients(m *spool.Message) []spool.Recipient {
	w.t.Helper()
	got, err := w.store.Get(w.t.Context(), m.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Recipients
}

// want compares the first recipient's state and the beginning of its answer.
func (w *world) want(m *spool.Message, state spool.State, answer string) {
	w.t.Helper()
	for _, r := range w.recipients(m) {
		if r.State != state || !strings.Contains(r.Delivery.Answer, answer) {
			w.t.Errorf("%s: %s %q, want %s %q", r.Address, r.State, r.Delivery.Answer, state, answer)
		}
	}
}

// reports returns what was reported, by the original bytes of our own messages.
func (w *world) reports() []string {
	w.t.Helper()
	list, err := w.store.List(w.t.Context(), spool.Filter{Order: spool.Oldest})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, m := range list {
		if m.Envelope.From.IsNull() && m.From.Local == "MAILER-DAEMON" {
			body, err := w.store.Open(w.t.Context(), m.ID)
			if err != nil {
				w.t.Fatal(err)
			}
			content, _ := io.ReadAll(body)
			body.Close()
			all = append(all, string(content))
		}
	}
	return all
}

// certificate makes a self-signed certificate and the pool that trusts it.
func certificate(t *testing.T, name string, from, to time.Time) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
