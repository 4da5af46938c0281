package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// fillQueuedEnv is how many messages BenchmarkFillQueue queues; empty: 10,000. See
// fillPathEnv.
const fillQueuedEnv = "MAILGATE_BENCH_QUEUED"

const (
	queueDomains = 400           // recipient domains of a queue
	queueDelay   = 6 * time.Hour // until its next tries
	queueClaims  = 400
	queueClaim   = 20 // messages, as the relay claims them
	queueSender  = "example.com"
)

// BenchmarkFillQueue makes a store with many queued messages, none of which is due,
// and says what a claim costs there, and settling a message.
func BenchmarkFillQueue(b *testing.B) {
	n := 10_000
	if s := os.Getenv(fillQueuedEnv); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for i := range b.N {
		path := os.Getenv(fillPathEnv)
		if path == "" {
			path = filepath.Join(b.TempDir(), strconv.Itoa(i)+".db")
		}
		claim, settle, err := makeQueue(b.Context(), path, n)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(claim.Seconds()*1000, "claim-ms")
		b.ReportMetric(settle.Seconds()*1000, "settle-ms")
	}
}

func makeQueue(ctx context.Context, path string, n int) (claim, settle time.Duration, err error) {
	s, err := store.Open(ctx, "sqlite:"+path, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	if err = fillQueue(ctx, s, n); err == nil {
		claim, settle, err = timeClaims(ctx, s)
	}
	return claim, settle, errors.Join(err, s.Close())
}

func queuedContent(i int) string {
	return fmt.Sprintf("From: Ann <ann@%s>\r\nTo: reader%d\r\nSubject: Report %d\r\n\r\n%s", queueSender, i, i, strings.Repeat("How are you? It is raining again.\r\n", 30))
}

// fillQueue queues n messages for queueDomains domains.
func fillQueue(ctx context.Context, s *store.Store, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	const workers = 256 // as many as the store writes at once
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				content := queuedContent(i)
				if err := s.Take(ctx, queuedFill(i, len(content)), strings.NewReader(content)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func fillQueueDomain(i int) mail.Domain {
	return mail.Domain(fmt.Sprintf("d%d.example", i%queueDomains))
}

// queuedFill is message number i, signed as far as the store can tell.
func queuedFill(i, size int) *spool.Message {
	now := time.Now()
	from := mail.Address{Local: "ann", Domain: queueSender}
	to := mail.Address{Local: fmt.Sprintf("reader%d", i), Domain: fillQueueDomain(i)}
	return &spool.Message{
		Source: "relay", Received: now, From: from, Subject: fmt.Sprintf("Report %d", i), MessageID: fmt.Sprintf("<%d@%s>", i, queueSender),
		Size: int64(size), Prefix: []byte(strings.Repeat("X-Signature: as long as one is\r\n", 25)), Signed: now,
		Envelope: mail.Envelope{From: from, To: []mail.Address{to}, Helo: "client." + queueSender},
		Recipients: []spool.Recipient{{
			Address: to, State: spool.Queued, Provider: "other",
			Delivery: spool.Delivery{Next: now.Add(queueDelay), Expected: "accept"},
		}},
	}
}

// timeClaims claims at one destination after the other, as if all were due, and puts
// off again what it has claimed.
func timeClaims(ctx context.Context, s *store.Store) (claim, settle time.Duration, err error) {
	settled := 0
	for i := range queueClaims {
		due := time.Now().Add(queueDelay + time.Hour)
		began := time.Now()
		claims, err := s.Claim(ctx, fillQueueDomain(i), due, due.Add(time.Hour), queueClaim)
		claim += time.Since(began)
		if err != nil {
			return 0, 0, err
		}
		began = time.Now()
		for _, c := range claims {
			r := spool.Result{Recipient: c.Message.Envelope.To[0], Into: spool.Queued, Next: due, Answer: "450 4.2.0 later", Host: "mx.example.com"}
			if err := s.Settle(ctx, c, "relay", []spool.Result{r}); err != nil {
				return 0, 0, err
			}
			settled++
		}
		settle += time.Since(began)
	}
	if settled == 0 {
		return 0, 0, errors.New("nothing could be claimed")
	}
	return claim / queueClaims, settle / time.Duration(settled), nil
}
