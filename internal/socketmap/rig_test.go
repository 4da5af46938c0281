package socketmap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/doortest"
)

// text is a log that is written and read at the same time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// rig is a server in a bubble of synctest.
type rig struct {
	t         *testing.T
	ln        *doortest.Pipes
	log       text
	preflight *fakePreflight
	registry  *prometheus.Registry
	stop      context.CancelFunc
	stopped   chan error
}

// run opens the door in a bubble, has f use it, and closes it.
func run(t *testing.T, change func(*Config), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			t: t, ln: doortest.NewPipes(),
			preflight: &fakePreflight{}, registry: prometheus.NewRegistry(), stopped: make(chan error, 1),
		}
		c := Config{
			Policies: policies(), Preflight: r.preflight, Postfix: func() Version { return Version{3, 7} },
			Metrics: NewMetrics(r.registry), Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		}
		if change != nil {
			change(&c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.stop = cancel
		s := NewServer(c)
		go func() { r.stopped <- s.Serve(ctx, r.ln) }()
		f(r)
		cancel()
		select {
		case err := <-r.stopped:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Hour):
			t.Error("Serve doesn't return")
		}
	})
}

// client is one who asks.
type client struct {
	net.Conn
	t *testing.T
}

func (r *rig) come() *client {
	r.t.Helper()
	here := r.ln.Dial()
	r.t.Cleanup(func() { here.Close() })
	return &client{here, r.t}
}

// send sends, or is told that the other end is closed.
func (c *client) send(s string) error {
	c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := io.WriteString(c, s)
	return err
}

// want wants an answer, byte for byte, and none after it.
func (c *client) want(answer string) {
	c.t.Helper()
	got := make([]byte, len(answer))
	c.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != answer {
		c.t.Fatalf("it says %.300q (%v), want %.300q", got[:n], err, answer)
	}
	c.wantSilence()
}

func (c *client) wantSilence() {
	c.t.Helper()
	b := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	var timeout net.Error
	if n, err := c.Read(b); n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		c.t.Fatalf("it says %q (%v), want silence", b[:n], err)
	}
}

// wantClosed wants the connection closed without another word.
func (c *client) wantClosed() {
	c.t.Helper()
	b := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := c.Read(b); n > 0 || !errors.Is(err, io.EOF) {
		c.t.Fatalf("it says %q (%v), want the end", b[:n], err)
	}
}

// ask sends a request and wants an answer.
func (c *client) ask(request, answer string) {
	c.t.Helper()
	if err := c.send(request); err != nil {
		c.t.Fatalf("send %.100q: %v", request, err)
	}
	c.want(answer)
}

// wantLog counts the lines that have a text in them.
func (r *rig) wantLog(n int, text string) {
	r.t.Helper()
	synctest.Wait()
	if got := strings.Count(r.log.String(), text); got != n {
		r.t.Errorf("%d times %q in the log, want %d:\n%s", got, text, n, &r.log)
	}
}

// wantMetric wants the value of a metric with these label values.
func (r *rig) wantMetric(want float64, name string, labels ...string) {
	r.t.Helper()
	synctest.Wait()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if f.GetName() != "mailgate_socketmap_"+name || !sameSet(have, labels) {
				continue
			}
			if got := m.GetCounter().GetValue() + m.GetGauge().GetValue(); got != want {
				r.t.Errorf("%s%v is %v, want %v", name, labels, got, want)
			}
			return
		}
	}
	r.t.Errorf("no metric %s%v", name, labels)
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
