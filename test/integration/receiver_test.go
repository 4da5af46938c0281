//go:build integration

package integration

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// receiver is the Internet's mail server: it takes everything for everybody, but
// for one recipient it can refuse as Gmail does.
type receiver struct {
	address string

	mu       sync.Mutex
	messages []receipt
	refused  string // recipient
}

// receipt is one message as it arrived.
type receipt struct {
	from string
	to   []string
	raw  []byte
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	return startReceiverAt(t, address(0, 25)+":25")
}

func startReceiverAt(t *testing.T, at string) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: l.Addr().String()}
	server := smtp.NewServer(r)
	server.Domain = "receiver.test"
	server.EnableSMTPUTF8 = true
	server.MaxLineLength = 1 << 20
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return r
}

// NewSession implements smtp.Backend.
func (r *receiver) NewSession(*smtp.Conn) (smtp.Session, error) { return &receiving{r: r}, nil }

// refuse makes the receiver find mail for this recipient unauthenticated.
func (r *receiver) refuse(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = to
}

// arrived returns the messages for one recipient so far.
func (r *receiver) arrived(to string) []receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []receipt
	for _, m := range r.messages {
		if slices.Contains(m.to, to) {
			found = append(found, m)
		}
	}
	return found
}

// wait waits for the first message to a recipient.
func (r *receiver) wait(t *testing.T, to string) receipt {
	t.Helper()
	eventually(t, "a message for "+to, func() bool { return len(r.arrived(to)) > 0 })
	return r.arrived(to)[0]
}

// only returns the one message a recipient has got.
func (r *receiver) only(t *testing.T, to string) receipt {
	t.Helper()
	m := r.wait(t, to)
	if n := len(r.arrived(to)); n != 1 {
		t.Fatalf("%s got %d messages, want 1", to, n)
	}
	return m
}

type receiving struct {
	r *receiver
	m receipt
}

func (s *receiving) Mail(from string, _ *smtp.MailOptions) error {
	s.m.from = from
	return nil
}

func (s *receiving) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.to = append(s.m.to, to)
	return nil
}

func (s *receiving) Data(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.m.raw = raw
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if slices.Contains(s.m.to, s.r.refused) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: "Your email has been blocked because the sender is unauthenticated."}
	}
	s.r.messages = append(s.r.messages, s.m)
	return nil
}

func (s *receiving) Reset()        { s.m = receipt{} }
func (s *receiving) Logout() error { return nil }
