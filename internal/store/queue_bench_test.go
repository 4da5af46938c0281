package store

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// queues are the sizes and shapes the queue is measured with.
var queues = []struct {
	name                       string
	messages, domains, fullest int
}{
	{"2,000 at 2,000", 2_000, 2_000, 0},
	{"20,000 at 2,000", 20_000, 2_000, 0},
	{"200,000 at 2,000", 200_000, 2_000, 0},
	{"150,000 of 200,000 at one", 200_000, 2_000, 150_000},
}

// BenchmarkQueue is what the relay asks for, of queues in which everything is due.
func BenchmarkQueue(b *testing.B) {
	for _, q := range queues {
		b.Run(q.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "mailgate.db")
			s := open(b, path, Options{})
			start := time.Now()
			fillQueue(b, s, q.messages, q.domains, q.fullest)
			b.Logf("taken in %s", time.Since(start).Round(time.Millisecond))
			benchReads(b, s, q.domains)
			benchWrites(b, s, q.domains)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.Run("open", func(b *testing.B) {
				for b.Loop() {
					s := open(b, path, Options{})
					s.Stuck(b.Context())
					s.Close()
				}
			})
		})
	}
}

func benchReads(b *testing.B, s *Store, domains int) {
	busy := make([]mail.Domain, 500)
	for i := range busy {
		busy[i] = domainNumber(i)
	}
	b.Run("due", func(b *testing.B) {
		for b.Loop() {
			if d, err := s.Due(b.Context(), time.Now(), busy, 20); len(d) != 20 || err != nil {
				b.Fatal(d, err)
			}
		}
	})
	b.Run("next due", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.NextDue(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("destinations", func(b *testing.B) {
		for b.Loop() {
			if d, err := s.Destinations(b.Context(), 100); len(d) != 100 || err != nil {
				b.Fatal(len(d), err)
			}
		}
	})
}

func benchWrites(b *testing.B, s *Store, domains int) {
	again := func(r *spool.Result) { r.Into, r.Next = spool.Queued, time.Now() }
	for _, limit := range []int{1, 10} {
		b.Run(fmt.Sprintf("claim %d and settle, again", limit), func(b *testing.B) { claimAndSettle(b, s, domains, limit, again) })
	}
	b.Run("fullest, claim 10 and settle, again", func(b *testing.B) { claimAndSettle(b, s, 1, 10, again) })
	b.Run("pause", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Defer(b.Context(), domainNumber(0), time.Now(), false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("flush nothing", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Defer(b.Context(), domainNumber(0), time.Now().Add(time.Hour), true); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("flush fullest", func(b *testing.B) {
		for next := time.Now(); b.Loop(); next = next.Add(-time.Hour) {
			n, err := s.Defer(b.Context(), domainNumber(0), next, true)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n), "recipients")
		}
	})
	b.Run("claim 10 and settle, delivered", func(b *testing.B) {
		claimAndSettle(b, s, domains, 10, func(r *spool.Result) { r.Into = spool.Delivered })
	})
}

// claimAndSettle claims and settles b.N messages, by 32 at once.
func claimAndSettle(b *testing.B, s *Store, domains, limit int, result func(*spool.Result)) {
	var done, next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for idle := 0; done.Load() < int64(b.N) && idle < 10*domains; {
				now := time.Now()
				claims, err := s.Claim(b.Context(), domainNumber(int(next.Add(1))%domains), now, now.Add(time.Hour), limit)
				if err != nil {
					b.Error(err)
					return
				}
				if idle++; len(claims) > 0 {
					idle = 0
				}
				for _, c := range claims {
					r := spool.Result{Recipient: c.Message.Envelope.To[0], Answer: "250 2.0.0 OK", Host: "mx1.example.com", TLS: "TLSv1.3"}
					result(&r)
					if err := s.Settle(b.Context(), c, "relay", []spool.Result{r}); err != nil {
						b.Error(err)
						return
					}
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(done.Load())/b.Elapsed().Seconds(), "msg/s")
}

func domainNumber(n int) mail.Domain { return mail.Domain(fmt.Sprintf("d%d.example", n)) }

// fillQueue queues n messages with a recipient each, the fullest destination first.
func fillQueue(b *testing.B, s *Store, n, domains, fullest int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	prefix := bytesOf(1500)
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				domain := domainNumber(i % domains)
				if i <= fullest {
					domain = domainNumber(0)
				}
				m := queued(b, time.Now(), "x@"+string(domain))
				m.Prefix = prefix
				take(b, s, m, "x")
			}
		})
	}
	wg.Wait()
}
