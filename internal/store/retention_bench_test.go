package store

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// BenchmarkVerifyLog follows a chain of 1,000,000 entries.
func BenchmarkVerifyLog(b *testing.B) {
	const entries, each = 1_000_000, 2000
	s := fresh(b, Options{})
	for range entries / each {
		err := s.update(b.Context(), "test", each*500, func(w *batch) error {
			for i := range each {
				err := w.log(spool.LogEntry{
					Time: time.Now(), ID: fmt.Sprintf("q%d", i), Recipient: addr(b, "someone@gmail.com"), Action: spool.ActionHold,
					Into: spool.Held, After: "refuse", Actor: "milter", Reason: "refused", Codes: []string{"dkim-missing", "spf-none"},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if chain, err := s.VerifyLog(b.Context()); err != nil || chain.Last != entries {
			b.Fatal(chain, err)
		}
	}
	b.ReportMetric(entries*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkTrim forgets 100,000 messages, and says how long the slowest of the
// messages that come in meanwhile had to wait.
func BenchmarkTrim(b *testing.B) {
	const messages = 100_000
	for b.Loop() {
		b.StopTimer()
		s := fresh(b, Options{})
		fill(b, s, messages)
		err := s.update(b.Context(), "test", 0, func(w *batch) error {
			return errors.Join(w.exec("UPDATE recipients SET state = 'discarded'"), w.exec("UPDATE messages SET finished = taken"))
		})
		if err != nil {
			b.Fatal(err)
		}
		stop := make(chan struct{})
		var slowest time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				start := time.Now()
				if err := s.Take(b.Context(), message(b, "x@gmail.com"), bytes.NewReader([]byte("x"))); err != nil {
					b.Error(err)
					return
				}
				slowest = max(slowest, time.Since(start))
			}
		})
		before := time.Now()
		b.StartTimer()
		n, err := s.Trim(b.Context(), before)
		b.StopTimer()
		close(stop)
		wg.Wait()
		if n < messages || err != nil {
			b.Fatal(n, err)
		}
		b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest-take")
		b.StartTimer()
	}
	b.ReportMetric(messages*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
