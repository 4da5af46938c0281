package store

import (
	"bytes"
	"fmt"
	"testing"

	"mailgate/internal/spool"
)

// BenchmarkTake is what holding costs: 10 KiB, 32 sessions, fsynced.
func BenchmarkTake(b *testing.B) {
	s := fresh(b, Options{})
	body := bytesOf(10 << 10)
	evidence := bytesOf(8 << 10)
	b.SetBytes(int64(len(body)))
	b.SetParallelism(16) // times GOMAXPROCS, which is 2 where this is measured
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m := message(b, "x@gmail.com")
			m.Evidence = evidence
			if err := s.Take(b.Context(), m, bytes.NewReader(body)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkTakeLarge is 50 MiB through one session.
func BenchmarkTakeLarge(b *testing.B) {
	s := fresh(b, Options{})
	body := bytesOf(50 << 20)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Take(b.Context(), message(b, "x@gmail.com"), struct{ *bytes.Reader }{bytes.NewReader(body)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList reads pages of a store with 100,000 held recipients.
func BenchmarkList(b *testing.B) {
	s := fresh(b, Options{})
	fill(b, s, 100_000)
	for name, f := range map[string]spool.Filter{
		"first":  {States: []spool.State{spool.Held}},
		"oldest": {States: []spool.State{spool.Held}, Order: spool.Oldest},
		"all":    {},
		"domain": {States: []spool.State{spool.Held}, Domain: "d7.example"},
		"reason": {States: []spool.State{spool.Held}, Reason: spool.Waiting},
		"absent": {States: []spool.State{spool.Held}, Text: "no message has this"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f.Limit = 50
				if _, err := s.List(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("groups", func(b *testing.B) {
		for b.Loop() {
			if g, err := s.HeldGroups(b.Context()); err != nil || len(g) == 0 {
				b.Fatal(len(g), err)
			}
		}
	})
}

// fill takes n messages of 1,000 domains, many at a time.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	work := make(chan int)
	done := make(chan error)
	for range 64 {
		go func() {
			var err error
			for i := range work {
				m := message(b, "x@gmail.com")
				m.From.Domain = addr(b, fmt.Sprintf("a@d%d.example", i%1000)).Domain
				m.Subject = fmt.Sprintf("Message %d", i)
				if i%10 == 0 {
					m.Recipients[0].Reason = spool.Waiting
				}
				if e := s.Take(b.Context(), m, bytes.NewReader([]byte("x"))); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for i := range n {
		work <- i
	}
	close(work)
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
