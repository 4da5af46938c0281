package milter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/spool"
)

const maxGrowth = 64 << 20 // bytes of heap, whatever the sessions carry

func TestMemory(t *testing.T) {
	if grown := passBodies(t, 20, 5<<20, "bob"); grown > maxGrowth {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if grown := passBodies(t, 20, 5<<20, "hold"); grown > maxGrowth {
		t.Errorf("with copies kept, the heap grew by %d MiB", grown>>20)
	}
}

// Claimed lengths cost nothing.
func TestMemoryOfClaims(t *testing.T) {
	r := start(t, nil)
	var clients []*raw
	grown := measure(func() {
		for range 200 {
			c := r.raw(t)
			c.send(envelope)
			c.opened()
			c.send([]byte{0, 0x10, 0, 0, 'L', 'x'}) // 1 MiB, of which one byte comes
			clients = append(clients, c)
		}
		eventually(t, "sessions", func() bool { return r.sessions(t) == 200 })
	})
	if grown > maxGrowth {
		t.Errorf("the heap grew by %d MiB for %d claims", grown>>20, len(clients))
	}
}

// The header fields of one message are not kept for the next.
func TestMemoryOfManyMessages(t *testing.T) {
	r := start(t, func(s *Server) { s.Gate = &fakeGate{forget: true} })
	c := r.raw(t)
	c.send(opening)
	c.opened()
	message := conversation(encode('M', "<ann@example.com>\x00"), encode('R', "<bob@example.net>\x00"), encode('D', "Li\x00Q7\x00"),
		encode('L', fromPayload), encode('L', "X\x00"+strings.Repeat("x", 500_000)+"\x00"), encode('N', ""), encode('E', ""))
	grown := measure(func() {
		for range 200 { // 100 MB
			c.send(message)
			for _, code := range []byte("ciia") {
				c.wants(code)
			}
		}
	})
	if grown > maxGrowth {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func BenchmarkMemory100x25MB(b *testing.B) {
	for _, to := range []string{"bob", "hold"} {
		b.Run(to, func(b *testing.B) {
			for b.Loop() {
				grown := passBodies(b, 100, 25<<20, to)
				b.ReportMetric(float64(grown)/(1<<20), "MiB-growth")
				if grown > maxGrowth {
					b.Errorf("the heap grew by %d MiB", grown>>20)
				}
			}
		})
	}
}

// BenchmarkMessage is the door alone: a 10 KiB message, nothing signed.
func BenchmarkMessage(b *testing.B) {
	r := start(b, func(s *Server) {
		s.Gate = &fakeGate{forget: true}
		s.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	})
	chunk := encode('B', strings.Repeat("0123456789abcd\r\n", 640))
	header := strings.Repeat(string(encode('L', "X-Header\x00 a value of the usual length, more or less\x00")), 20)
	message := conversation(encode('M', "<ann@example.com>\x00"), encode('R', "<bob@example.net>\x00"),
		[]byte(header), encode('L', fromPayload), encode('N', ""))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c := r.raw(b)
		c.send(opening)
		c.opened()
		for pb.Next() {
			c.send(message)
			c.wants('c')
			c.send(conversation(chunk, encode('E', "")))
			c.wants('i')
			c.wants('i')
			c.wants('a')
		}
	})
}

// passBodies sends one message in each of many sessions at once and returns how
// much the heap grew, at most, while they went through.
func passBodies(t testing.TB, sessions, size int, to string) uint64 {
	r := start(t, func(s *Server) {
		s.Gate = &fakeGate{forget: true}
		s.Custody = countTaker{}
	})
	chunk := encode('B', strings.Repeat("x", 65533)+"\r\n")
	clients := make([]*raw, sessions)
	for i := range clients {
		clients[i] = r.raw(t)
	}
	return measure(func() {
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() {
				if err := c.passBody(chunk, size, to); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func (r *raw) passBody(chunk []byte, size int, to string) error {
	r.Write(conversation(opening, encode('M', "<ann@example.com>\x00"), encode('R', "<"+to+"@example.net>\x00"),
		encode('L', fromPayload), encode('N', "")))
	for sent := 0; sent < size; sent += len(chunk) {
		if _, err := r.Write(chunk); err != nil {
			return err
		}
	}
	if _, err := r.Write(encode('E', "")); err != nil {
		return err
	}
	for {
		code, payload, err := r.recv()
		switch {
		case err != nil:
			return err
		case code == 'a' || code == 'd':
			return nil
		case code != 'O' && code != 'c' && code != 'i':
			return fmt.Errorf("answer %q %q", code, payload)
		}
	}
}

// countTaker reads a message and keeps nothing.
type countTaker struct{}

func (countTaker) Take(_ context.Context, m *spool.Message, content io.Reader) error {
	m.ID = "q7f3a"
	_, err := io.Copy(io.Discard, content)
	return err
}

// measure returns the most that f made the heap grow.
func measure(f func()) uint64 {
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before := inUse()
	var most atomic.Uint64
	sample := func() { most.Store(max(most.Load(), inUse())) }
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				sample()
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	sample()
	return most.Load() - min(before, most.Load())
}
