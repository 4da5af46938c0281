package relay

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// A server that drips, or never comes to an end of its answers, is left in time, and
// its answers don't fill the memory.
func TestGreedyServers(t *testing.T) {
	for name, answer := range map[string]string{
		"greeting without an end":   "220-" + strings.Repeat("x", 500) + "\r\n",
		"one line without an end":   strings.Repeat("x", 4096),
		"nothing but line ends":     "\r\n",
		"empty lines of a greeting": "220-\r\n",
	} {
		for _, at := range []string{"greeting", "EHLO", "MAIL"} {
			t.Run(name+" at "+at, func(t *testing.T) {
				w := newWorld(t)
				w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
				var said atomic.Int64
				w.e.o.Dial = func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
					near, far := net.Pipe()
					go endlessServer(far, at, answer, &said)
					t.Cleanup(func() { near.Close(); far.Close() })
					return newTerse(near), nil
				}
				m := w.queue(nil, "bob@dest.example")
				w.pass()
				w.want(m, spool.Queued, "")
				if n := said.Load(); n > 2*maxAnswer {
					t.Errorf("%d bytes were read", n)
				}
			})
		}
	}
}

// Connections over TCP are so.
func TestDialIsTerse(t *testing.T) {
	b := startBox(t, &box{})
	c, err := dialTCP(t.Context(), netip.Addr{}, netip.MustParseAddrPort(b.listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*terse); !ok {
		t.Errorf("%T", c)
	}
}

func endlessServer(c net.Conn, at, answer string, said *atomic.Int64) {
	defer c.Close()
	usual := map[string]string{"greeting": "220 hi\r\n", "EHLO": "250 hi\r\n"}
	buf := make([]byte, 4096)
	for _, step := range []string{"greeting", "EHLO", "MAIL"} {
		if step != "greeting" {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
		if step == at {
			go io.Copy(io.Discard, c)
			for {
				n, err := io.WriteString(c, answer)
				if said.Add(int64(n)); err != nil {
					return
				}
			}
		}
		io.WriteString(c, usual[step])
	}
}

// A server that says a byte a minute is given up after openTimeout.
func TestDrippingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				if _, err := far.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(time.Minute)
			}
		}()
		e := New(Options{Dial: func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) { return near, nil }, Settings: func() Settings { return Settings{} }})
		began := time.Now()
		_, err := e.open(t.Context(), opening{settings: Settings{Hostname: "relay.example.com"}, host: host{name: "mx.dest.example"}, address: netip.MustParseAddrPort("203.0.113.5:25"), policy: tlspolicy.Policy{Level: tlspolicy.None}})
		if err == nil || time.Since(began) > openTimeout+time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		<-gone // it sees that the connection is closed
	})
}
