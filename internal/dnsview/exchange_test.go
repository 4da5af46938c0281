package dnsview

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailgate/internal/dnstest"
)

// One question over real sockets; the other tests have none.
func TestSockets(t *testing.T) {
	s, err := dnstest.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := strings.Repeat("x", 9000)
	if err := s.SetZone("example.com", "www A 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if err := s.AddTXT("huge.example.com", text); err != nil {
		t.Fatal(err)
	}
	s.Fault("cut.example.com", dnstest.HalfTCP)
	s.Fault("old.example.com", dnstest.NoEDNS)
	s.Fault("silent.example.com", dnstest.Timeout)
	s.Fault("silent.tcp.example.com", dnstest.TruncateMute)
	for _, c := range []struct {
		name, at string
		qtype    uint16
		timeout  time.Duration
		want     string // of the answer, or the fault
	}{
		{"www.example.com.", s.Addr(), dns.TypeA, time.Minute, "192.0.2.1"},
		{"old.example.com.", s.Addr(), dns.TypeA, time.Minute, "NXDOMAIN"},
		{"huge.example.com.", s.Addr(), dns.TypeTXT, time.Minute, text},
		{"cut.example.com.", s.Addr(), dns.TypeA, time.Minute, "reply cut short"},
		{"silent.example.com.", s.Addr(), dns.TypeA, 50 * time.Millisecond, "timeout"},
		{"silent.tcp.example.com.", s.Addr(), dns.TypeA, 500 * time.Millisecond, "timeout"},
		{"www.example.com.", nobody(t), dns.TypeA, time.Minute, "connection refused"},
	} {
		m, err := realAsker(t, c.timeout).ask(t.Context(), c.at, question{c.name, c.qtype}, false)
		got := describe(err)
		if err == nil {
			d := read(m, question{c.name, c.qtype})
			if got = rcodeText(m.Rcode); len(d.records) == 1 {
				got = d.records[0].Text
			}
		}
		if got != c.want {
			t.Errorf("%s: %.100s, want %.100s", c.name, got, c.want)
		}
	}
}

// A caller that goes away leaves no socket behind to wait.
func TestSocketsGivenUp(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		l.ReadFrom(make([]byte, 512))
		cancel()
	}()
	if _, err := realAsker(t, time.Hour).ask(ctx, l.LocalAddr().String(), question{"example.com.", dns.TypeA}, false); err == nil {
		t.Error("an answer from nobody")
	}
}

func realAsker(t *testing.T, timeout time.Duration) *asker {
	t.Helper()
	o, err := Options{Timeout: timeout}.complete()
	if err != nil {
		t.Fatal(err)
	}
	return newAsker(o)
}

// nobody is an address that stays taken and takes packets of one peer only.
func nobody(t *testing.T) string {
	t.Helper()
	peer, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := net.DialUDP("udp", nil, peer.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}
