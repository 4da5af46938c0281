package tlspolicy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// world is a small Internet: a validating resolver, an HTTPS server for MTA-STS, a
// clock, and policies that see them.
type world struct {
	t        *testing.T
	dns      *dnstest.Server
	clock    *clock
	memory   *memory
	log      *logged
	table    atomic.Pointer[Table]
	view     atomic.Pointer[View]
	private  atomic.Bool
	policies *Policies
	sts      *stsServer
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// anyTime is for what must come about, however slow the machine is.
const anyTime = 10 * time.Minute

func newWorld(t *testing.T) *world {
	t.Helper()
	w := newQuietWorld(t)
	w.sts = newSTSServer(t)
	w.start()
	return w
}

// newQuietWorld has no HTTPS server, and with it no sockets: it can be in a bubble.
func newQuietWorld(t *testing.T) *world {
	t.Helper()
	network, servers := dnstest.InMemory("192.0.2.53")
	s := servers[0]
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, dns: s, clock: &clock{now: time.Now().Truncate(time.Second)}, memory: newMemory(), log: &logged{}}
	w.must(s.Recursive())
	resolver, err := dnsview.New(dnsview.Options{Resolvers: []string{s.Addr()}, NoAuthoritative: true, Dial: network.Dial,
		Timeout: anyTime / 10, LookupTime: anyTime, Retries: -1, Now: w.clock.Now})
	w.must(err)
	t.Cleanup(resolver.Close)
	w.view.Store(&View{DNS: resolver, Validating: true, STS: true})
	w.overrides()
	w.private.Store(true)
	w.sts = &stsServer{ca: &authority{}}
	w.start()
	return w
}

// start begins anew with what memory has, as after a restart.
func (w *world) start() {
	w.t.Helper()
	if w.policies != nil {
		w.policies.Close()
	}
	p, err := New(w.t.Context(), Options{
		View:   func() View { return *w.view.Load() },
		Table:  w.table.Load,
		Memory: w.memory,
		Log:    slog.New(slog.NewTextHandler(w.log, nil)),
		Now:    w.clock.Now,

		LookupTime: anyTime,

		Roots:   w.sts.ca.pool,
		Private: w.private.Load,
		Port:    w.sts.port,
	})
	w.must(err)
	w.t.Cleanup(p.Close)
	w.policies = p
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) zone(origin string, signed bool, lines ...string) {
	w.t.Helper()
	w.must(w.dns.SetZone(origin, strings.Join(lines, "\n")))
	w.dns.Authentic(origin, signed)
}

func (w *world) overrides(all ...Override) {
	w.t.Helper()
	w.table.Store(newTableAt(w.t, w.clock.Now, all...))
}

func newTableAt(t *testing.T, now func() time.Time, all ...Override) *Table {
	t.Helper()
	table, err := NewTable(all, now)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func (w *world) lookup(d Destination) Policy {
	w.t.Helper()
	p, err := w.policies.Lookup(w.t.Context(), d)
	w.must(err)
	return p
}

func (w *world) domain(d mail.Domain) Policy { return w.lookup(Destination{Domain: d}) }

// settle waits until the checks of a domain under way are done.
func (w *world) settle(domain mail.Domain) {
	<-w.policies.sts.begin(domain, w.view.Load().DNS)
}

// memory is what outlives a restart.
type memory struct {
	mu    sync.Mutex
	notes map[Kind]map[string]Note
	acts  []string
	fail  error
}

func newMemory() *memory { return &memory{notes: map[Kind]map[string]Note{}} }

func (m *memory) Recall(_ context.Context, kind Kind) (all []Note, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range maps.Values(m.notes[kind]) {
		all = append(all, n)
	}
	return all, m.fail
}

func (m *memory) Keep(_ context.Context, n Note, by *Act) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.notes[n.Kind] == nil {
		m.notes[n.Kind] = map[string]Note{}
	}
	m.notes[n.Kind][n.Name] = n
	m.act("keep", n.Name, by)
	return nil
}

func (m *memory) Forget(_ context.Context, kind Kind, name string, by *Act) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	delete(m.notes[kind], name)
	m.act("forget", name, by)
	return nil
}

func (m *memory) act(what, name string, by *Act) {
	if by != nil {
		m.acts = append(m.acts, fmt.Sprintf("%s %s by %s: %s", what, name, by.Actor, by.Reason))
	}
}

var errDisk = errors.New("disk full")

// logged keeps log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// authority is a certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	ca := &authority{pool: x509.NewCertPool()}
	ca.cert, ca.key = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	ca.pool.AddCert(ca.cert)
	return ca
}

// leaf makes a certificate for names; the chain has the authority's too.
func (ca *authority) leaf(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	cert, key := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca)
	return tls.Certificate{Certificate: [][]byte{cert.Raw, ca.cert.Raw}, PrivateKey: key, Leaf: cert}
}

func issue(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// spki and whole are the data of TLSA records 1 1 and 0 1.
func spki(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func whole(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// stsServer serves MTA-STS policies by host.
type stsServer struct {
	ca   *authority
	port uint16
	addr string

	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   int
}

func newSTSServer(t *testing.T) *stsServer {
	t.Helper()
	s := &stsServer{ca: newAuthority(t), answers: map[string]http.HandlerFunc{}}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{s.ca.leaf(t, "mta-sts.example.net", "mta-sts.example.org")}}
	server.StartTLS()
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().(*net.TCPAddr)
	s.port, s.addr = uint16(addr.Port), addr.String()
	return s
}

func (s *stsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	s.mu.Lock()
	s.asked++
	answer := s.answers[host]
	s.mu.Unlock()
	if answer == nil || r.URL.Path != "/.well-known/mta-sts.txt" {
		http.NotFound(w, r)
		return
	}
	answer(w, r)
}

func (s *stsServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *stsServer) serve(host string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[host] = answer
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, body)
	}
}

func stsText(mode string, maxAge time.Duration, mx ...string) string {
	body := fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmax_age: %d\r\n", mode, int(maxAge.Seconds()))
	for _, host := range mx {
		body += "mx: " + host + "\r\n"
	}
	return body
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
