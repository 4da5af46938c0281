package socketmap

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/door"
	"mailgate/internal/tlspolicy"
)

// What is as long as it may be is read.
func TestLongest(t *testing.T) {
	limit := func(c *Config) { c.Limits.Request, c.Limits.Attributes = 1000, 20 }
	run(t, limit, func(r *rig) {
		for range 3 {
			name := strings.Repeat("m", 1000)
			r.come().ask(ns(name), ns("PERM unknown map "+name[:40]+": want mailgate or preflight"))
			r.come().ask("a="+strings.Repeat("b", 996)+"\n\n", "action=DUNNO\n\n")
			r.come().ask(strings.Repeat("a=b\n", 20)+"\n", "action=DUNNO\n\n")
		}
	})
	run(t, nil, func(r *rig) {
		client := r.come()
		for range 3 {
			client.ask(ns("mailgate "+strings.Repeat("x", 16<<10-9)), ns("NOTFOUND "))
			client.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
		}
	})
}

func TestTimes(t *testing.T) {
	run(t, nil, func(r *rig) {
		idle, slow, deaf, patient := r.come(), r.come(), r.come(), r.come()
		// A request that comes a byte a second isn't waited for.
		go func() {
			for _, b := range ns("mailgate example.net") {
				if slow.send(string(b)) != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		time.Sleep(11 * time.Second)
		slow.wantClosed()
		r.wantLog(1, "connection given up")

		// Nor is a client that doesn't take its answer.
		deaf.send(ns("mailgate example.net"))
		time.Sleep(11 * time.Second)
		deaf.wantClosed()
		r.wantLog(2, "connection given up")
		r.wantMetric(2, "errors_total", "connection")

		for range 3 {
			time.Sleep(9 * time.Minute)
			patient.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
		}
		idle.wantClosed()
		time.Sleep(11 * time.Minute)
		patient.wantClosed()
		r.wantLog(2, "level=")
		r.wantMetric(0, "sessions")
	})
}

// Each request has its own time to come.
func TestTimeOfEachRequest(t *testing.T) {
	run(t, nil, func(r *rig) {
		client := r.come()
		for range 3 {
			client.send("20:mailgate ")
			time.Sleep(6 * time.Second)
			client.ask("example.net,", ns("OK encrypt protocols=>=TLSv1.2"))
		}
	})
}

// The door closes at once for who waits, and answers what was asked.
func TestDrain(t *testing.T) {
	run(t, func(c *Config) { c.Limits.Advice = 5 * time.Second }, func(r *rig) {
		fresh, idle, half, busy := r.come(), r.come(), r.come(), r.come()
		idle.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
		half.send("20:mail")
		busy.send(rcpt("recipient=wait@gmail.com") + rcpt("recipient=refuse@gmail.com"))
		r.wantMetric(4, "sessions")
		r.stop()
		synctest.Wait()
		for _, c := range []*client{fresh, idle, half} {
			c.wantClosed()
		}
		time.Sleep(5 * time.Second)
		rest := "action=DUNNO\n\naction=550 5.7.26 Gmail would refuse this: no SPF, no DKIM\n\n"
		for rest != "" {
			busy.wantPart(&rest)
		}
		busy.wantClosed()
	})
}

// What is answered after all has ended may be due to that, and isn't sent.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, request := range []string{ns("mailgate wait.example"), rcpt("recipient=wait@gmail.com")} {
		m := &memory{in: strings.NewReader(request), piece: len(request)}
		s := NewServer(Config{Policies: policies(), Preflight: &fakePreflight{}, Log: slog.New(slog.DiscardHandler)})
		s.session(ctx, &door.Conn{Conn: m})
		if m.out.Len() > 0 {
			t.Errorf("it says %q", &m.out)
		}
	}
}

// Answers to a client that doesn't wait for them aren't piled up.
func TestUnsent(t *testing.T) {
	long := tlspolicy.Policy{Level: tlspolicy.Verify, Source: tlspolicy.FromOverride, MatchNames: []string{strings.Repeat("a", 90_000)}}
	s := NewServer(Config{Policies: fakePolicies{"example.org": long}, Log: slog.New(slog.DiscardHandler)})
	const n = 200
	requests := strings.Repeat(ns("mailgate example.org"), n)
	m := &memory{in: strings.NewReader(requests), piece: len(requests)}
	s.session(t.Context(), &door.Conn{Conn: m})
	if m.out.Len() < n*90_000 {
		t.Errorf("%d bytes of answers", m.out.Len())
	}
	if m.largest > maxUnsent+maxReply+frameRoom {
		t.Errorf("%d bytes are sent at once", m.largest)
	}
}

// What isn't answered within Drain isn't answered wrongly.
func TestDrainEnds(t *testing.T) {
	run(t, nil, func(r *rig) {
		client := r.come()
		client.send(ns("mailgate wait.example"))
		synctest.Wait()
		begin := time.Now()
		r.stop()
		client.SetReadDeadline(time.Now().Add(time.Hour))
		b := make([]byte, 10)
		if n, err := client.Read(b); n > 0 || err == nil {
			t.Errorf("it says %q", b[:n])
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("waited %v in the bubble's time, want Drain", took)
		}
	})
}

// Connections over the limit wait for a place.
func TestLimit(t *testing.T) {
	run(t, func(c *Config) { c.Limits.Connections = 2 }, func(r *rig) {
		a, b, c := r.come(), r.come(), r.come()
		if c.send("20:") == nil {
			t.Error("a third connection is read from")
		}
		for _, client := range []*client{a, b} {
			client.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
		}
		a.Close()
		c.ask(ns("mailgate example.net"), ns("OK encrypt protocols=>=TLSv1.2"))
	})
}
