//go:build integration

package integration

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// TestKilledMidMessage: mailgate is killed while the body goes by. The client is
// told to come back, nothing leaves unsigned, and the retry passes.
func TestKilledMidMessage(t *testing.T) {
	var trap *snare
	w := newWorld(t, plan{ours: []string{"good.test"}, milter: func(t *testing.T, g *gateway) string {
		trap = newSnare(t, g.milter, 2<<20, func() { g.kill() })
		return trap.address
	}})
	const from, to = "ann@good.test", "bob@gmail.com"
	message := compose(from, to, "large", strings.Repeat("Some line of some message.\r\n", 200_000))

	err := send(connect(t, w.postfix.address, ""), from, []string{to}, message)
	if code(err)/100 != 4 {
		t.Errorf("mailgate killed mid-message: the client is told %v, want a temporary refusal", err)
	}
	if !trap.sprung() {
		t.Fatal("mailgate was not killed")
	}
	if err := send(connect(t, w.postfix.address, ""), from, []string{to}, message); code(err)/100 != 4 {
		t.Errorf("mailgate gone: the client is told %v, want a temporary refusal", err)
	}
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Fatalf("%d messages left while mailgate was gone", n)
	}

	w.gate.serve(t)
	w.submit(t, from, []string{to}, message)
	w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
}

// TestHeldSurvivesKill: what was acknowledged as held is there after kill -9.
func TestHeldSurvivesKill(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated})
	const from, to = "ann@bad.test", "bob@gmail.com"
	message := compose(from, to, "held", "Hello.\r\n")
	w.submit(t, from, []string{to}, message)
	w.gate.kill()

	w.gate.serve(t)
	w.gate.wantHeld(t, []string{to}, "refused")
	w.dns.publish(t, "bad.test", complete(w.domains["bad.test"])...)
	w.wantSigned(t, "bad.test", w.receiver.only(t, to), message)
}

// TestDNSDown: without DNS mail is held as waiting, never refused, and leaves when
// DNS is back.
func TestDNSDown(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test"}})
	const from, to = "ann@good.test", "bob@gmail.com"
	message := compose(from, to, "waiting", "Hello.\r\n")
	w.dns.pause()
	w.submit(t, from, []string{to}, message)
	w.gate.wantHeld(t, []string{to}, "waiting")
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Fatalf("%d messages left without a verdict", n)
	}
	w.dns.resume()
	w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
	w.gate.noneHeld(t)
}

// snare is a proxy before the milter that, once, does something after so many bytes
// have gone by.
type snare struct {
	address string

	mu   sync.Mutex
	left int
	do   func()
}

func newSnare(t *testing.T, milter string, after int, do func()) *snare {
	t.Helper()
	l, err := net.Listen("tcp", address(0, 8)+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &snare{address: l.Addr().String(), left: after, do: do}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.pass(client, milter) })
		}
	})
	// Connections end when Postfix, stopped before this, closes them.
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

func (s *snare) pass(client net.Conn, milter string) {
	defer client.Close()
	server, err := net.Dial("tcp", milter)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	_, _ = io.Copy(server, io.TeeReader(client, s))
}

// Write counts what goes by.
func (s *snare) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left -= len(p); s.left <= 0 && s.do != nil {
		s.do()
		s.do = nil
	}
	return len(p), nil
}

func (s *snare) sprung() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.do == nil
}
