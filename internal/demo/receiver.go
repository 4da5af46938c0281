package demo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"
)

// receipt is what a receiver found out about a message it took.
type receipt struct {
	sender string
	to     []string
	dkim   string // "pass" with its domain, or why not
	spf    spf.Result
	tls    string // version, "" in the clear
}

// behaviour is how a receiver answers.
type behaviour int

const (
	takesAll      behaviour = iota
	asGmail                 // refuses what passes neither DKIM nor SPF
	chokesOnTLS13           // breaks the connection when TLS 1.3 is offered
)

// receiver is a mail server on loopback that checks what comes by itself, with a
// resolver of its own.
type receiver struct {
	host      string
	behaviour behaviour
	resolver  spf.DNSResolver
	server    *smtp.Server
	listeners []net.Listener

	mu       sync.Mutex
	receipts []receipt
	arrived  chan struct{}
}

func startReceiver(host string, resolver spf.DNSResolver, b behaviour) (*receiver, error) {
	r := &receiver{host: host, behaviour: b, resolver: resolver, arrived: make(chan struct{}, 1)}
	r.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &receiverSession{receiver: r, conn: c}, nil
	}))
	r.server.Domain = host
	r.server.EnableSMTPUTF8 = true
	r.server.ErrorLog = quiet{}
	if b == chokesOnTLS13 {
		certificate, err := selfSigned(host)
		if err != nil {
			return nil, err
		}
		r.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, GetConfigForClient: resetOnTLS13}
	}
	return r, r.listen()
}

// quiet keeps protocol noise of expected failures off the screen.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// listen takes one port on IPv4 and, where the machine has it, IPv6.
func (r *receiver) listen() error {
	v4, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start %s: %w", r.host, err)
	}
	r.listeners = append(r.listeners, v4)
	port := fmt.Sprint(v4.Addr().(*net.TCPAddr).Port)
	if v6, err := net.Listen("tcp", net.JoinHostPort("::1", port)); err == nil {
		r.listeners = append(r.listeners, v6)
	}
	for _, l := range r.listeners {
		go func() { _ = r.server.Serve(l) }()
	}
	return nil
}

// addresses returns where it listens, IPv6 first as a mail server would try it.
func (r *receiver) addresses() []string {
	var list []string
	for _, l := range slices.Backward(r.listeners) {
		list = append(list, l.Addr().String())
	}
	return list
}

func (r *receiver) Close() error {
	err := r.server.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *receiver) take(got receipt) {
	r.mu.Lock()
	r.receipts = append(r.receipts, got)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// from returns the receipts of mail from a sender so far.
func (r *receiver) from(sender string) []receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []receipt
	for _, got := range r.receipts {
		if got.sender == sender {
			list = append(list, got)
		}
	}
	return list
}

// wait blocks until a message of that sender has arrived.
func (r *receiver) wait(ctx context.Context, sender string) (receipt, error) {
	for {
		if list := r.from(sender); len(list) > 0 {
			return list[len(list)-1], nil
		}
		select {
		case <-ctx.Done():
			return receipt{}, fmt.Errorf("nothing from %s arrived at %s: %w", sender, r.host, ctx.Err())
		case <-r.arrived:
		}
	}
}

type receiverSession struct {
	receiver *receiver
	conn     *smtp.Conn
	got      receipt
}

func (s *receiverSession) Reset()        { s.got = receipt{} }
func (s *receiverSession) Logout() error { return nil }

func (s *receiverSession) Mail(from string, _ *smtp.MailOptions) error {
	s.got.sender = from
	return nil
}

func (s *receiverSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.got.to = append(s.got.to, to)
	return nil
}

func (s *receiverSession) Data(body io.Reader) error {
	message, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r := s.receiver
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := s.conn.Conn().RemoteAddr().(*net.TCPAddr).IP
	s.got.dkim = verify(ctx, r.resolver, message)
	s.got.spf, _ = spf.CheckHostWithSender(client, s.conn.Hostname(), s.got.sender, spf.WithResolver(r.resolver), spf.WithContext(ctx))
	if state, ok := s.conn.TLSConnectionState(); ok {
		s.got.tls = tls.VersionName(state.Version)
	}
	if r.behaviour == asGmail && !strings.HasPrefix(s.got.dkim, "pass") && s.got.spf != spf.Pass {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: fmt.Sprintf(
			"Your email has been blocked because the sender is unauthenticated. DKIM = did not pass, SPF [%s] with ip: [%s] = did not pass",
			domainOf(s.got.sender), client)}
	}
	r.take(s.got)
	return nil
}

func verify(ctx context.Context, resolver spf.DNSResolver, message []byte) string {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return resolver.LookupTXT(ctx, name) },
	})
	if err != nil {
		return "fail: " + err.Error()
	}
	if len(results) == 0 {
		return "none"
	}
	for _, v := range results {
		if v.Err == nil {
			return "pass d=" + v.Domain
		}
	}
	return "fail"
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// resetOnTLS13 behaves as an old middlebox: it drops the connection on seeing TLS
// 1.3 in the ClientHello.
func resetOnTLS13(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		hello.Conn.Close()
		return nil, errors.New("reset")
	}
	return nil, nil
}

func selfSigned(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
