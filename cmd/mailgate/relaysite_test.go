package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/sign"
)

// relaySite is a gateway whose relay delivers to a receiver on this machine, with its
// own DNS. Nobody has published the key of one.example.
type relaySite struct {
	*demoGateway
	t        *testing.T
	dir      string
	dns      *dnstest.Server // authoritative for one.example
	second   *dnstest.Server // on the same port, for a second one
	resolver *dnstest.Server
	record   string
	relay    string // address of the door
	receiver *receiver
	log      logged
}

// logged is what a gateway logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// receiver takes mail for every domain, and says of each message whether its DKIM
// signature is valid.
type receiver struct {
	*smtp.Server
	port uint16

	mu      sync.Mutex
	refuse  error // the answer to the final dot; nil: 250
	asked   int   // messages
	arrived chan arrival
}

type arrival struct {
	to      []string
	content string
	dkim    string // "pass", "none" or why not
}

const relaySiteConfig = `hostname = "mx1.site.test"
egress = ["127.0.0.1"]
[control]
socket = "control.sock"
[store]
url = "sqlite:mailgate.db"
[hold]
recheck = "1s"
[[domain]]
name = "one.example"
keys = [{ selector = "mail", file = "keys/one.pem" }]
`

// startRelaySite starts everything. more is configuration; RECEIVER in it is replaced
// by the address of the receiver.
func startRelaySite(t *testing.T, more string) *relaySite {
	t.Helper()
	s := &relaySite{t: t, dir: t.TempDir(), receiver: startReceiver(t)}
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2", "127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	recursive := servers[0]
	s.resolver, s.dns, s.second = recursive, servers[1], servers[2]
	t.Cleanup(func() {
		for _, server := range servers {
			server.Close()
		}
	})
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	s.record = sign.Key{Domain: "one.example", Selector: "mail", Signer: signer}.Record()
	err = errors.Join(
		sign.WriteKey(filepath.Join(s.dir, "keys", "one.pem"), signer),
		recursive.Recursive(s.dns),
		recursive.SetZone("ns.cloudflare.com", "ada A 127.0.0.2\n"),
		recursive.SetZone("gmail.test", "@ MX 10 mx.gmail.test.\nmx A 127.0.0.1\n"),
		recursive.SetZone("other.test", "@ MX 10 mx.other.test.\nmx A 127.0.0.1\n"),
		recursive.SetZone("nomail.test", "@ MX 0 .\n"),
		recursive.SetZone("site.test", "mx1 A 127.0.0.1\n"),
		recursive.SetZone("127.in-addr.arpa", "1.0.0 PTR mx1.site.test.\n"),
		s.dns.SetZone("one.example", "@ NS ada.ns.cloudflare.com.\n@ MX 10 mx\nmx A 127.0.0.1\n@ TXT \"v=spf1 ip4:198.51.100.7 ~all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"),
	)
	if err != nil {
		t.Fatal(err)
	}
	s.receiver.lookUp(recursive)
	s.relay = loopbackOfOurs()
	more = strings.ReplaceAll(more, "RECEIVER", fmt.Sprintf("127.0.0.1:%d", s.receiver.port))
	text := fmt.Sprintf("%s[dns]\nresolvers = [%q]\n[relay]\nlisten = %q\n%s", relaySiteConfig, recursive.Addr(), s.relay, more)
	if err := os.WriteFile(filepath.Join(s.dir, "mailgate.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startGateway()
	t.Cleanup(s.stopGateway)
	return s
}

func (s *relaySite) startGateway() {
	s.t.Helper()
	g, err := startForDemo(s.t.Context(), filepath.Join(s.dir, "mailgate.toml"), s.wiring())
	if err != nil {
		s.t.Fatal(err)
	}
	s.demoGateway = g.(*demoGateway)
}

func (s *relaySite) wiring() wiring {
	return wiring{
		log: slog.New(slog.NewTextHandler(io.MultiWriter(s.t.Output(), &s.log), nil)), authorityPort: s.dns.Port(), dnsTime: patientDNS,
		providers: map[string]preflight.Provider{"mx.gmail.test": preflight.Google},
		smtpPort:  s.receiver.port, loopback: true,
	}
}

func (s *relaySite) stopGateway() {
	s.t.Helper()
	if err := s.Stop(); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

func (s *relaySite) publish() {
	s.t.Helper()
	if err := s.dns.AddTXT("mail._domainkey.one.example", s.record); err != nil {
		s.t.Fatal(err)
	}
}

func letterOf(subject string) string {
	return "From: ann@one.example\r\nTo: bob@gmail.test\r\nSubject: " + subject + "\r\n\r\nHow are you?\r\n.\r\n"
}

// send gives a message to the relay, as a mail server would.
func (s *relaySite) send(subject string, to ...string) error {
	c, err := smtp.Dial(s.relay)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SendMail("ann@one.example", to, strings.NewReader(letterOf(subject)))
}

func (s *relaySite) mustSend(subject string, to ...string) {
	s.t.Helper()
	if err := s.send(subject, to...); err != nil {
		s.t.Fatalf("send %s: %v", subject, err)
	}
}

// awaitArrival returns the next message that the receiver took.
func (s *relaySite) awaitArrival() arrival {
	s.t.Helper()
	select {
	case a := <-s.receiver.arrived:
		return a
	case <-time.After(hangGuard):
		s.t.Fatal("nothing arrives")
		return arrival{}
	}
}

// message finds the one with a subject.
func (s *relaySite) message(subject string) quarantine.Message {
	s.t.Helper()
	var page quarantine.Page
	query := map[string][]string{"text": {subject}, "state": {"all"}}
	if err := s.get(s.t.Context(), "/v1/quarantine", query, &page); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range page.Messages { // a report about it has it in its subject, too
		if m.Subject == subject {
			return m
		}
	}
	s.t.Fatalf("no message has the subject %q", subject)
	return quarantine.Message{}
}

// awaitState waits until a message's only recipient is in a state.
func (s *relaySite) awaitState(subject, state string) quarantine.Recipient {
	s.t.Helper()
	s.await(subject+" "+state, func() bool { return string(s.message(subject).Recipients[0].State) == state })
	return s.message(subject).Recipients[0]
}

// await asks again until it is so.
func (s *relaySite) await(what string, is func() bool) {
	s.t.Helper()
	deadline := time.After(hangGuard)
	for !is() {
		select {
		case <-deadline:
			s.t.Fatalf("never: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// reconfigure changes the configuration and has the gateway take it.
func (s *relaySite) reconfigure(old, new string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "mailgate.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(old), []byte(new)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Reload(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{arrived: make(chan arrival, 100)}
	r.port = netip.MustParseAddrPort(l.Addr().String()).Port()
	r.Server = smtp.NewServer(nil)
	r.Server.Domain = "mx.gmail.test"
	done := make(chan struct{})
	go func() { defer close(done); r.Server.Serve(l) }()
	t.Cleanup(func() { r.Server.Close(); <-done })
	return r
}

// lookUp says where keys are found.
func (r *receiver) lookUp(dns *dnstest.Server) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, dns.Addr())
	}}
	txt := func(name string) (texts []string, err error) {
		var silent *net.DNSError
		for texts, err = resolver.LookupTXT(context.Background(), name); errors.As(err, &silent) && silent.IsTimeout; {
			texts, err = resolver.LookupTXT(context.Background(), name)
		}
		return texts, err
	}
	r.Server.Backend = smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &receiving{receiver: r, txt: txt}, nil
	})
}

func (r *receiver) answer(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

func (r *receiver) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

type receiving struct {
	*receiver
	txt func(string) ([]string, error)
	to  []string
}

func (r *receiving) Reset()                               { r.to = nil }
func (r *receiving) Logout() error                        { return nil }
func (r *receiving) Mail(string, *smtp.MailOptions) error { return nil }
func (r *receiving) Rcpt(to string, _ *smtp.RcptOptions) error {
	r.to = append(r.to, to)
	return nil
}

func (r *receiving) Data(content io.Reader) error {
	all, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.asked++
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	r.arrived <- arrival{to: r.to, content: string(all), dkim: r.verify(all)}
	return nil
}

func (r *receiving) verify(content []byte) string {
	checks, err := dkim.VerifyWithOptions(bytes.NewReader(content), &dkim.VerifyOptions{LookupTXT: r.txt})
	switch {
	case err != nil:
		return err.Error()
	case len(checks) != 1:
		return fmt.Sprintf("%d signatures", len(checks))
	case checks[0].Err != nil:
		return checks[0].Err.Error()
	case mail.Domain(checks[0].Domain) != "one.example":
		return "d=" + checks[0].Domain
	}
	return "pass"
}
