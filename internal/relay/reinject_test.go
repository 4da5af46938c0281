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
	probes        []string
	to            []string
	utf8          bool
	refuseMail    func(from string) error
	refuseRcpt    string
	refuseData    error
	ended         chan error // how reading the content ended
}

func (m *mta) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (m *mta) Reset()                                      {}
func (m *mta) Logout() error                               { return nil }

func (m *mta) Mail(from string, o *smtp.MailOptions) error {
	m.from, m.utf8 = from, o.UTF8
	if m.refuseMail != nil {
		return m.refuseMail(from)
	}
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
	if err != nil {
		return err
	}
	return m.refuseData
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

// Another 2xx than 250 is a yes: what the MTA has taken isn't handed to it again.
func TestInjectAnotherYes(t *testing.T) {
	for _, at := range []string{"MAIL", "RCPT", "."} {
		b := startBox(t, &box{answer: starting(map[string]string{at: "200 2.0.0 OK"})})
		r := &Reinjector{Address: b.listener.Addr().String(), Hostname: "mx1.example.com"}
		results, err := r.Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original))
		if err != nil || results[0].Err != nil || at == "." && results[0].Answer != "2.0.0 OK" {
			t.Errorf("200 to %s: %+v, %v", at, results, err)
		}
	}
}

// A notice is in no custody, and came from no client.
func TestInjectNotice(t *testing.T) {
	m := &mta{}
	notice := &spool.Message{Received: message().Received, Envelope: mail.Envelope{To: []mail.Address{bob}}}
	if _, err := start(t, m).Inject(t.Context(), notice, notice.Envelope.To, "TOKEN", strings.NewReader(original)); err != nil {
		t.Fatal(err)
	}
	want := "X-Mailgate-Release: TOKEN\r\n" +
		"Received: from localhost\r\n\tby mx1.example.com (mailgate);\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n" + original
	if m.from != "" || m.content != want {
		t.Errorf("from %q, content %q,\nwant %q", m.from, m.content, want)
	}
}

func TestInjectToSome(t *testing.T) {
	m := &mta{refuseRcpt: bob.String()}
	results, err := start(t, m).Inject(t.Context(), message(bob, carol), []mail.Address{bob, carol}, "TOKEN", strings.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Err == nil || !results[0].Permanent || results[1].Err != nil {
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

// An answer to the whole message is every recipient's; a recipient refused before
// keeps his own.
func TestInjectIsRefused(t *testing.T) {
	full := &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "disk full"}
	never := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "never"}
	tests := map[string]struct {
		mta       mta
		says      [2]string
		permanent [2]bool
	}{
		"MAIL, for now":    {mta{refuseMail: func(string) error { return full }}, [2]string{"452: disk full", "452: disk full"}, [2]bool{}},
		"MAIL, for good":   {mta{refuseMail: func(string) error { return never }}, [2]string{"550: never", "550: never"}, [2]bool{true, true}},
		"content, for now": {mta{refuseData: full}, [2]string{"452: disk full", "452: disk full"}, [2]bool{}},
		"content and one":  {mta{refuseData: full, refuseRcpt: "carol x@other.example"}, [2]string{"452: disk full", "550: no such user"}, [2]bool{false, true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			results, err := start(t, &test.mta).Inject(t.Context(), message(bob, carol), []mail.Address{bob, carol}, "TOKEN", strings.NewReader(original))
			if err != nil || len(results) != 2 {
				t.Fatalf("%+v, %v", results, err)
			}
			for i, h := range results {
				code, words, _ := strings.Cut(test.says[i], ": ")
				whole := strings.HasPrefix(h.Reply, code+" ") && strings.HasSuffix(h.Reply, " "+words) && len(strings.Fields(h.Reply)[1]) == len("5.7.1")
				if h.Err == nil || !strings.Contains(h.Err.Error(), test.says[i]) || h.Permanent != test.permanent[i] || h.Answer != "" || !whole {
					t.Errorf("%+v", h)
				}
			}
		})
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
	r := &Reinjector{Address: nobody(t), Hostname: "mx1.example.com"}
	if _, err := r.Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original)); err == nil {
		t.Error("an MTA that isn't there took a message")
	}
}

// nobody is an address at which nobody listens, nor can until the test is over.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
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
