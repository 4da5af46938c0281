package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
	"mailgate/internal/mtatest"
	"mailgate/internal/quarantine"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// scriptSite is a gateway with its own DNS and a mail server, for scripts. Its
// domains have a key that nobody published and an SPF record without us, so that
// Gmail would refuse their mail.
type scriptSite struct {
	*demoGateway
	dir     string
	config  siteConfig
	mta     *mtatest.MTA
	dns, ns *dnstest.Server   // the resolver, and the name server of its domains
	records map[string]string // key records by domain
	close   []func() error

	mu        sync.Mutex
	delivered []mtatest.Mail
	arrived   chan struct{}
}

const siteHost = "mx1.site.test"

var siteDomains = []string{"one.example", "two.example", "three.example"}

// runSite is the script command "site":
//
//	site start [relay]            starts it; the configuration is mailgate.toml. With relay, released
//	                              mail goes into its queue, and its receiver says no for now
//	site rate N                   so many releases a minute go to one destination; 0: no bound
//	site send FROM TO SUBJECT [N] sends a message (N bytes of body) that must be held
//	site id SUBJECT VARIABLE      sets a variable to the id of the held message
//	site publish DOMAIN           publishes the domain's key
//	site silence DOMAIN           DNS gives no answer about the domain and its key any more
//	site delivered N              waits until so many messages were delivered
//	site tried N                  waits until so many recipients are queued, and each was tried in vain
func runSite(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "start" {
		s, err := startSite(ts.Getenv("WORK"), len(args) > 1 && args[1] == "relay")
		ts.Check(err)
		ts.Defer(func() { ts.Check(s.stop()) })
		sites.Store(ts.Getenv("WORK"), s)
		return
	}
	found, _ := sites.Load(ts.Getenv("WORK"))
	s := found.(*scriptSite)
	switch args[0] {
	case "send":
		ts.Check(s.send(args[1], args[2], args[3], args[4:]...))
	case "id":
		id, err := s.id(args[1])
		ts.Check(err)
		ts.Setenv(args[2], id)
	case "publish":
		ts.Check(s.ns.AddTXT("mail._domainkey."+args[1], s.records[args[1]]))
	case "rate":
		ts.Check(s.setRate(args[1]))
	case "silence":
		s.silence(args[1])
	case "delivered":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(s.waitDelivered(n))
	case "tried":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(s.waitTried(n))
	default:
		ts.Fatalf("site %s: no such command", args[0])
	}
}

// sites are the sites under way by the script's directory.
var sites sync.Map

func startSite(dir string, relayed bool) (*scriptSite, error) {
	s := &scriptSite{dir: dir, records: map[string]string{}, arrived: make(chan struct{}, 1)}
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2")
	if err != nil {
		return nil, err
	}
	s.dns, s.ns = servers[0], servers[1]
	s.close = append(s.close, s.dns.Close, s.ns.Close)
	err = errors.Join(
		s.dns.Recursive(s.ns),
		s.dns.SetZone("ns.cloudflare.com", "ada A 127.0.0.2\n"),
		s.dns.SetZone("site.test", "mx1 A 127.0.0.1\n"),
		setReceivers(s.dns, siteHost),
	)
	for _, d := range siteDomains {
		err = errors.Join(err, s.addDomain(d))
	}
	if err == nil {
		err = s.startMTA()
	}
	if err == nil {
		err = s.startGateway(relayed)
	}
	return s, err
}

func (s *scriptSite) addDomain(domain string) error {
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		return err
	}
	s.records[domain] = sign.Key{Domain: mail.Domain(domain), Selector: "mail", Signer: signer}.Record()
	return errors.Join(
		sign.WriteKey(filepath.Join(s.dir, "keys", domain+".pem"), signer),
		s.ns.SetZone(domain, "@ NS ada.ns.cloudflare.com.\n@ TXT \"v=spf1 ip4:198.51.100.7 ~all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"),
	)
}

func (s *scriptSite) milter() string { return "unix:" + filepath.Join(s.dir, "milter.sock") }

func (s *scriptSite) startMTA() (err error) {
	s.mta, err = mtatest.Start(mtatest.Options{
		Hostname: siteHost,
		Milter:   s.milter,
		Deliver: func(_ context.Context, m mtatest.Mail) (string, error) {
			s.mu.Lock()
			s.delivered = append(s.delivered, m)
			s.mu.Unlock()
			select {
			case s.arrived <- struct{}{}:
			default:
			}
			return "250 2.0.0 taken", nil
		},
	})
	if err == nil {
		s.close = append(s.close, s.mta.Close)
	}
	return err
}

// startGateway starts one that does nothing by itself: no re-check, and no second try,
// comes before the script has ended.
func (s *scriptSite) startGateway(relayed bool) error {
	s.config = siteConfig{
		hostname: siteHost, milter: s.milter(), resolver: s.dns.Addr(), via: s.mta.Addr(),
		hold: "auto_release = false\nrecheck = \"15m\"\n", keys: map[string]string{},
	}
	if relayed {
		receiver, closeBusy, err := startBusy()
		if err != nil {
			return err
		}
		s.close = append(s.close, closeBusy)
		s.config.via = "relay"
		s.config.hold += "[relay]\nlisten = \"127.0.0.1:0\"\n[queue]\nretry_first = \"4h\"\n" +
			fmt.Sprintf("[[route]]\ndestination = \"*\"\nvia = %q\n", receiver)
	}
	for _, d := range siteDomains {
		s.config.keys[d] = "keys/" + d + ".pem"
	}
	if err := s.config.write(s.dir); err != nil {
		return err
	}
	g, err := startForDemo(context.Background(), filepath.Join(s.dir, siteFile), wiring{
		log: slog.New(slog.DiscardHandler), authorityPort: s.dns.Port(), dnsTime: patientDNS, providers: siteProviders(),
	})
	if err != nil {
		return err
	}
	s.demoGateway = g.(*demoGateway)
	return nil
}

// busy is a receiver that takes nothing now. One that can't be reached would have the
// relay try again after a minute.
type busy struct{}

func (busy) NewSession(*smtp.Conn) (smtp.Session, error) { return busy{}, nil }
func (busy) Mail(string, *smtp.MailOptions) error        { return nil }
func (busy) Data(io.Reader) error                        { return nil }
func (busy) Reset()                                      {}
func (busy) Logout() error                               { return nil }

func (busy) Rcpt(string, *smtp.RcptOptions) error {
	return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "try again later"}
}

func startBusy() (address string, close func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := smtp.NewServer(busy{})
	server.Domain = siteHost
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Close, nil
}

func (s *scriptSite) setRate(perMinute string) error {
	c := s.config
	c.hold = "release_rate = " + perMinute + "\n" + c.hold
	return errors.Join(c.write(s.dir), s.Reload(context.Background()))
}

func (s *scriptSite) silence(domain string) {
	for _, name := range []string{domain, "mail._domainkey." + domain} {
		s.ns.Fault(name, dnstest.ServFail)
		s.dns.Fault(name, dnstest.ServFail)
	}
}

func (s *scriptSite) stop() error {
	err := s.Stop()
	for _, close := range s.close {
		err = errors.Join(err, close())
	}
	return err
}

func (s *scriptSite) send(from, to, subject string, size ...string) error {
	body := "How are you?\r\n"
	if len(size) > 0 {
		n, err := strconv.Atoi(size[0])
		if err != nil {
			return err
		}
		body = strings.Repeat("0123456789abcdef\r\n", n/18)
	}
	content := fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@one.example>\r\n\r\n%s",
		from, to, subject, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), body)
	done, err := s.mta.Submit(context.Background(), from, strings.Split(to, ","), content)
	if err != nil {
		return err
	}
	if !done[0].Held {
		return fmt.Errorf("mail from %s to %s was not held: %+v", from, to, done[0])
	}
	return nil
}

func (s *scriptSite) id(subject string) (string, error) {
	var page quarantine.Page
	if err := s.get(context.Background(), "/v1/quarantine", map[string][]string{"text": {subject}, "state": {"all"}}, &page); err != nil {
		return "", err
	}
	if len(page.Messages) != 1 {
		return "", fmt.Errorf("%d messages have %q", len(page.Messages), subject)
	}
	return page.Messages[0].ID, nil
}

func (s *scriptSite) waitDelivered(n int) error {
	deadline := time.After(hangGuard)
	for {
		s.mu.Lock()
		have := len(s.delivered)
		s.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-s.arrived:
		case <-deadline:
			return fmt.Errorf("%d of %d messages were delivered", have, n)
		}
	}
}

func (s *scriptSite) waitTried(n int) error {
	deadline := time.After(hangGuard)
	for {
		var page struct {
			Destinations []web.QueueDestination `json:"destinations"`
		}
		if err := s.get(context.Background(), "/v1/queue/destinations", nil, &page); err != nil {
			return err
		}
		queued, busy := 0, false
		for _, d := range page.Destinations {
			queued += d.Queued
			busy = busy || d.Leased > 0 || d.Tried.IsZero() || !d.Next.After(time.Now())
		}
		if queued >= n && !busy {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			return fmt.Errorf("%+v: want %d recipients queued, tried in vain and at rest", page.Destinations, n)
		}
	}
}
