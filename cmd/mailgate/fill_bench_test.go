package main

import (
	"context"
	"encoding/json"
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
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// Where BenchmarkFill makes its store, and with how many messages: test/bench has it
// make the one that it measures a gateway with.
const (
	fillPathEnv  = "MAILGATE_BENCH_STORE" // empty: a temporary one
	fillCountEnv = "MAILGATE_BENCH_HELD"  // empty: 10,000
)

// BenchmarkFill makes a store with many held messages.
func BenchmarkFill(b *testing.B) {
	n := 10_000
	if s := os.Getenv(fillCountEnv); s != "" {
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
		if err := fill(b.Context(), path, n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "msg/s")
}

// filledDomains is how many senders' domains a filled store has mail from.
const filledDomains = 1000

// fill makes a store with n held messages of one recipient each, taken by the same
// code as any: of a thousand domains, each with evidence of its own, to four
// providers, one in ten waiting for DNS.
func fill(ctx context.Context, path string, n int) error {
	s, err := store.Open(ctx, "sqlite:"+path, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	work := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	for range 256 { // as many as the store writes at once
		group.Go(func() error {
			for i := range work {
				m, err := filled(i)
				if err != nil {
					return err
				}
				if err := s.Take(ctx, m, strings.NewReader("Subject: "+m.Subject+"\r\n\r\nHello\r\n")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(work)
		for i := range n {
			select {
			case work <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		s.Close()
		return err
	}
	return s.Close()
}

// filled is message number i.
func filled(i int) (*spool.Message, error) {
	from := mail.Domain(fmt.Sprintf("d%d.example", i%filledDomains))
	to := []mail.Domain{"gmail.com", "outlook.com", "yahoo.com", "icloud.com"}[i/filledDomains%4]
	provider := []string{"google", "microsoft", "yahoo", "apple"}[i/filledDomains%4]
	evidence, err := json.Marshal(preflight.Report{From: from, MailFrom: from, Findings: []preflight.Finding{{
		Check: preflight.DKIM, Code: "dkim-missing", Status: preflight.Fail, Name: "mail._domainkey." + string(from), Text: "No key is published.",
	}}})
	if err != nil {
		return nil, err
	}
	sender := mail.Address{Local: fmt.Sprintf("writer%d", i%50), Domain: from}
	recipient := mail.Address{Local: fmt.Sprintf("reader%d", i%100_003), Domain: to}
	r := spool.Recipient{
		Address: recipient, State: spool.Held, Reason: spool.Refused, Provider: provider,
		Codes: []string{"dkim-missing", "spf-missing"}, Rule: provider + "-unauthenticated", Reply: "550 5.7.26",
	}
	if i%10 == 3 {
		r.Reason, r.Codes, r.Rule, r.Reply = spool.Waiting, []string{"dns-unreachable"}, "", ""
	}
	return &spool.Message{
		Source: "milter", From: sender, Subject: fmt.Sprintf("Report %d on %s", i, from), MessageID: fmt.Sprintf("<%d@%s>", i, from),
		Received: time.Now(), Evidence: evidence,
		Envelope:   mail.Envelope{From: sender, To: []mail.Address{recipient}, Helo: "client." + string(from)},
		Recipients: []spool.Recipient{r},
	}, nil
}
