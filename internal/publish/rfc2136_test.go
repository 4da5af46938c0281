package publish

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/libdns/rfc2136"
	"github.com/miekg/dns"
)

// What libdns gives as a text only is told apart.
func TestUpdateFault(t *testing.T) {
	u := &update{provider: &rfc2136.Provider{Server: "192.0.2.53:53", KeyName: "mailgate"}}
	for text, want := range map[string]struct {
		err  error
		says string
	}{
		`dns response error code "NOTAUTH" (9)`:  {ErrLogin, "clocks"},
		`dns response error code "REFUSED" (5)`:  {ErrLogin, "allow it to update"},
		`dns response error code "NOTZONE" (10)`: {ErrZone, ""},
		`dns response error code "FORMERR" (1)`:  {ErrCannot, "by hand"},
		`dns response error code "NOTIMP" (4)`:   {ErrCannot, "by hand"},
		`dns response error code "SERVFAIL" (2)`: {nil, "its log"},
		`dial tcp: connection refused`:           {nil, "connection refused"},
	} {
		err := u.fault(errors.New(text))
		for _, known := range []error{ErrLogin, ErrZone, ErrCannot, ErrChanged} {
			if errors.Is(err, known) != (known == want.err) {
				t.Errorf("%s: %v", text, err)
			}
		}
		if !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if u.fault(nil) != nil {
		t.Error("nil is a fault")
	}
}

// An order that a busy server doesn't answer in time is given again, and counts once.
func TestUpdateOfBusyServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan *dns.Msg, tries)
	server := &dns.Server{ReadTimeout: time.Minute, Listener: &busyListener{Listener: l, busy: 1}, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		taken <- m
		w.WriteMsg(new(dns.Msg).SetReply(m))
	}), MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	h, err := Open(Account{Provider: RFC2136, Server: l.Addr().String(), KeyName: "mailgate", KeyAlgorithm: "hmac-sha256", Secret: NewSecret("c2VjcmV0")})
	if err != nil {
		t.Fatal(err)
	}
	u := h.driver.(*update)
	if err := u.write(context.Background(), "example.com", Change{Name: "example.com", Type: "TXT", Add: []string{"v=spf1 -all"}}); err != nil {
		t.Errorf("%v, want the second try to do", err)
	}
	if len(taken) == 0 {
		t.Error("nothing arrived")
	}
}

// busyListener lets the first so many connections wait for an answer without end.
type busyListener struct {
	net.Listener
	busy int
}

func (l *busyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.busy == 0 {
		return c, err
	}
	l.busy--
	go func() {
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the client gives up
	}()
	return l.Accept()
}

// What isn't a matter of time is tried once, and what is, not without end.
func TestPatient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 1}, {errors.New("REFUSED"), 1}, {os.ErrDeadlineExceeded, tries}} {
		n := 0
		err := patient(t.Context(), func() error {
			n++
			return c.err
		})
		if n != c.want || !errors.Is(err, c.err) {
			t.Errorf("%v: %d tries, want %d; %v", c.err, n, c.want, err)
		}
	}
}
