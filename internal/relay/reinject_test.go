package relay

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// mta is a real SMTP server that keeps what it is given.
type mta struct {
	from, content string
	to            []string
	utf8          bool
	refuseRcpt    string
	refuseData    error
	ended         chan error // how reading the content ended
}

func (m *mta) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (m *mta) Reset()                                      {}
func (m *mta) Logout() error                               { return nil }

func (m *mta) Mail(from string, o *smtp.MailOptions) error {
	m.from, m.utf8 = from, o.UTF8
	return nil
}

func (m *mta) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == m.refuseRcpt {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	m.to = append(m.to, to)
	return nil
}

func (m *mta) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	m.content = string(content)
	if m.ended != nil {
		m.ended <- err
	}
	return errors.Join(err, m.refuseData)
}

func start(t *testing.T, m *mta) *Reinjector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(m)
	s.Domain = "mta.test"
	s.EnableSMTPUTF8 = true
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return &Reinjector{Address: l.Addr().String(), Hostname: "mx1.example.com"}
}

func message(to ...mail.Address) *spool.Message {
	return &spool.Message{
		ID:       "q7f3a",
		Received: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		Envelope: mail.Envelope{
			From: mail.Address{Local: "ann", Domain: "example.com"}, To: to,
			Helo: "desk (evil)\r\nX: y", Client: netip.MustParseAddr("2001:db8::5"),
		},
	}
}

var (
	bob   = mail.Address{Local: "bob", Domain: "gmail.com"}
	carol = mail.Address{Local: "carol x", Domain: "other.example"}
)

const original = "From: ann@example.com\r\n\r\n.dots\r\n..\r\nlast\r\n"

func TestInject(t *testing.T) {
	m := &mta{}
	r := start(t, m)
	results, err := r.Inject(t.Context(), message(bob, carol), []mail.Address{bob, carol}, "TOKEN", strings.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range results {
		if h.Err != nil || h.Answer == "" {
			t.Errorf("%+v", h)
		}
	}
	if m.from != "ann@example.com" || len(m.to) != 2 {
		t.Errorf("envelope %q, %q", m.from, m.to)
	}
	want := "X-Mailgate-Release: TOKEN\r\n" +
		"Received: from deskevilX:y ([IPv6:2001:db8::5])\r\n\tby mx1.example.com (mailgate) id q7f3a;\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n" +
		original
	if m.content != want {
		t.Errorf("content %q,\nwant %q", m.content, want)
	}
}

func TestInjectToSome(t *testing.T) {
	m := &mta{refuseRcpt: bob.String()}
	results, err := start(t, m).Inject(t.Context(), message(bob, carol), []mail.Address{bob, carol}, "TOKEN", strings.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Err == nil || results[1].Err != nil {
		t.Errorf("%+v", results)
	}
}

func TestInjectToNobody(t *testing.T) {
	m := &mta{refuseRcpt: bob.String()}
	results, err := start(t, m).Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original))
	if err != nil || results[0].Err == nil {
		t.Errorf("%+v, %v", results, err)
	}
	if m.content != "" {
		t.Error("content was sent to nobody")
	}
}

func TestInjectIsRefused(t *testing.T) {
	m := &mta{refuseData: &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again"}}
	if _, err := start(t, m).Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original)); err == nil {
		t.Error("a refused message counts as taken")
	}
}

// A store that fails half-way must not end the message with a final dot.
func TestInjectHalf(t *testing.T) {
	m := &mta{ended: make(chan error, 1)}
	content := io.MultiReader(strings.NewReader("From: ann@example.com\r\n"), failing{})
	if _, err := start(t, m).Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", content); err == nil {
		t.Error("half a message counts as taken")
	}
	if err := <-m.ended; err == nil {
		t.Error("the MTA got half a message with a regular end")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk error") }

func TestInjectAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := &Reinjector{Address: address, Hostname: "mx1.example.com"}
	if _, err := r.Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original)); err == nil {
		t.Error("an MTA that isn't there took a message")
	}
}

func TestInjectUTF8(t *testing.T) {
	m := &mta{}
	msg := message(bob)
	msg.Envelope.SMTPUTF8 = true
	if _, err := start(t, m).Inject(t.Context(), msg, []mail.Address{bob}, "TOKEN", strings.NewReader(original)); err != nil {
		t.Fatal(err)
	}
	if !m.utf8 {
		t.Error("SMTPUTF8 was not asked for")
	}
}
