package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

const (
	queueDomains = 400           // recipient domains of a queue
	queueDelay   = 6 * time.Hour // until its next tries
	claimRounds  = 400
	claimSize    = 20 // messages, as the relay claims them
)

// measureQueue measures a gateway with a short queue and with a long one, none of
// which is due.
func measureQueue(ctx context.Context, b *bench) error {
	fmt.Printf("\n%-12s %9s %12s %12s %12s %10s %10s %12s\n", "queued", "database", "claim of 20", "settle each", "start", "memory", "at most", "through")
	for _, n := range []int{b.queued / 20, b.queued} {
		if err := measureQueueOf(ctx, b, n); err != nil {
			return fmt.Errorf("%d queued: %w", n, err)
		}
	}
	fmt.Printf(`
claim, settle: in the store, %d times, the database in memory
start:         until the gateway takes mail
memory:        resident, once it is idle, and at most since its start
through:       messages of 4 KiB a second, from the first submission until the last
               has arrived, beside the queue; median of %d
`, claimRounds, b.rounds)
	return nil
}

func measureQueueOf(ctx context.Context, b *bench, n int) error {
	name := fmt.Sprintf("relay-queue-%d", n)
	path := filepath.Join(b.dir, name+".db")
	defer os.Remove(path)
	claim, settle, err := makeQueue(ctx, path, n)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	s, err := startSink()
	if err != nil {
		return err
	}
	defer s.Close()
	began := time.Now()
	g, err := startRelay(b, name, s.Addr().String())
	if err != nil {
		return err
	}
	defer g.stop()
	start := time.Since(began)
	if queued, err := g.recipients(ctx, "queued"); err != nil || queued != n {
		return fmt.Errorf("%d are queued at the start (%v)", queued, err)
	}
	if err := g.untilIdle(ctx); err != nil {
		return err
	}
	idle, err := g.memory("VmRSS")
	if err != nil {
		return err
	}
	load := submission{to: g.relay, sessions: relaySessions, messages: b.relayed, size: relaySizes[0]}
	through := throughWay(ctx, load, s, g, g.process)
	if err := measureAll([]*way{through}, b.rounds); err != nil {
		return err
	}
	most, err := g.memory("VmHWM")
	if err != nil {
		return err
	}
	rate := median(through.rates, func(r float64) float64 { return r })
	fmt.Printf("%-12d %5d MiB %9.2f ms %9.2f ms %9.2f s %6.0f MiB %6.0f MiB %6.0f msg/s\n",
		n, info.Size()>>20, milliseconds(claim), milliseconds(settle), start.Seconds(), idle, most, rate)
	return nil
}

// makeQueue makes a store with n queued messages at path, in memory first where there
// is room for that, and says what a claim costs there, and settling a message.
func makeQueue(ctx context.Context, path string, n int) (claim, settle time.Duration, err error) {
	made := path
	if dir, err := os.MkdirTemp("/dev/shm", "mailgate-bench-"); err == nil {
		defer os.RemoveAll(dir)
		made = filepath.Join(dir, "made.db")
	}
	s, err := store.Open(ctx, "sqlite:"+made, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	if err = fillQueue(ctx, s, n); err == nil {
		claim, settle, err = timeClaims(ctx, s)
	}
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err == nil && made != path {
		err = copyFile(made, path)
	}
	return claim, settle, err
}

// fillQueue queues n messages for queueDomains domains.
func fillQueue(ctx context.Context, s *store.Store, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	const workers = 256 // as many as the store writes at once
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				content := messageOf(i, bodyOf(1<<10))
				if err := s.Take(ctx, queuedMessage(i, len(content)), strings.NewReader(content)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func queueDomain(i int) mail.Domain {
	return mail.Domain(fmt.Sprintf("d%d.example", i%queueDomains))
}

// queuedMessage is message number i, signed as far as the store can tell.
func queuedMessage(i, size int) *spool.Message {
	now := time.Now()
	from := mail.Address{Local: "ann", Domain: domain}
	to := mail.Address{Local: fmt.Sprintf("reader%d", i), Domain: queueDomain(i)}
	return &spool.Message{
		Source: "relay", Received: now, From: from, Subject: fmt.Sprintf("Report %d", i), MessageID: fmt.Sprintf("<%d@%s>", i, domain),
		Size: int64(size), Prefix: []byte(strings.Repeat("X-Signature: as long as one is\r\n", 25)), Signed: now,
		Envelope: mail.Envelope{From: from, To: []mail.Address{to}, Helo: "client." + domain},
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
	for i := range claimRounds {
		due := time.Now().Add(queueDelay + time.Hour)
		began := time.Now()
		claims, err := s.Claim(ctx, queueDomain(i), due, due.Add(time.Hour), claimSize)
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
		return 0, 0, io.ErrUnexpectedEOF
	}
	return claim / claimRounds, settle / time.Duration(settled), nil
}
