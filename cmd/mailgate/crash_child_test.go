package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"mailgate/internal/rotation"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// crashChildName is the name by which the test program is a gateway that ends
// itself; see TestMain.
const crashChildName = "mailgate-crash-child"

// crashChild is `mailgate serve` with a crash point. It tells its parent what it
// finds in the store at its start, and when its doors are open; it stops in order
// at the end of its standard input.
func crashChild() {
	point := flag.String("point", "", "crash point")
	passes := flag.Int("passes", 0, "how often it is passed before")
	port := flag.Int("port", 0, "of the authoritative name servers")
	checkpoint := flag.Int("checkpoint", 0, "bytes between two checkpoints")
	smtpPort := flag.Int("smtp", 0, "of MX hosts")
	index := flag.Int("index", 0, "messages that come into the index at once")
	haste := flag.Int("haste", 1, "how often faster the clock of rotations goes")
	began := flag.Int64("began", 0, "since when, in seconds of Unix")
	flag.Parse()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := serveUntilKilled(ctx, flag.Arg(0), wiring{
		log:           slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		authorityPort: *port,
		dnsTime:       patientDNS,
		providers:     siteProviders(),
		smtpPort:      uint16(*smtpPort),
		loopback:      true,
		crashPoint:    killAt(*point, *passes),
		checkpoint:    *checkpoint,
		indexEvery:    *index,
		rotationClock: fastClock(*haste, time.Unix(*began, 0)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// killAt returns a hook that ends the process at the point named, once it was
// passed so often: nothing is written or closed any more. A point that no step has
// ends it as a failure.
func killAt(point string, passes int) func(string) {
	known := map[string]bool{}
	for _, step := range slices.Concat(crashSteps(), relaySteps()) {
		known[step.point] = true
	}
	for _, point := range rotation.CrashPoints() { // see TestRotationKilled
		known[point] = true
	}
	var passed atomic.Int64
	return func(name string) {
		if !known[name] {
			fmt.Fprintf(os.Stderr, "crash point %q is passed, and no step kills there\n", name)
			os.Exit(1)
		}
		if name == point && passed.Add(1) > int64(passes) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

// fastClock goes on over lives of the process, as a clock does.
func fastClock(times int, began time.Time) func() time.Time {
	if times == 1 {
		return time.Now
	}
	return func() time.Time { return began.Add(time.Since(began) * time.Duration(times)) }
}

func serveUntilKilled(ctx context.Context, config string, w wiring) (err error) {
	cfg, err := loadConfig(config)
	if err != nil {
		return err
	}
	g, err := newGateway(ctx, cfg, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	defer g.reloadOnHangup(ctx)()
	left, err := leftQueued(ctx, g.store)
	if err != nil {
		return err
	}
	say := bufio.NewWriter(os.Stdout)
	for _, r := range left {
		fmt.Fprintln(say, "queued", r.id, r.to)
	}
	if err := tellWaiting(ctx, g.store, say); err != nil {
		return err
	}
	told, err := g.store.Mark(ctx, digestMark)
	if err != nil {
		return err
	}
	if !told.IsZero() {
		fmt.Fprintln(say, "told", told.Format(time.RFC3339Nano))
	}
	fmt.Fprintln(say, "started")
	if err := say.Flush(); err != nil {
		return err
	}
	return g.Run(ctx, func() {
		for _, r := range left {
			if err := r.wasResumed(ctx, g.store); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		fmt.Println("ready")
	})
}

// queuedOne is a recipient that a crash left queued.
type queuedOne struct {
	id, to string
	entry  int64 // of the review log, the last one then
}

func leftQueued(ctx context.Context, s *store.Store) ([]queuedOne, error) {
	ids, err := s.Stuck(ctx)
	if err != nil {
		return nil, err
	}
	var left []queuedOne
	for _, id := range ids {
		m, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		log, err := s.Log(ctx, spool.LogFilter{Limit: 1})
		if err != nil {
			return nil, err
		}
		for _, r := range m.In(spool.Queued) {
			if !r.Delivery.Next.IsZero() { // the relay's
				continue
			}
			left = append(left, queuedOne{id, r.Address.String(), log[0].N})
		}
	}
	return left, nil
}

// tellWaiting tells what is in the relay's queue.
func tellWaiting(ctx context.Context, s *store.Store, say io.Writer) error {
	for after := ""; ; {
		page, err := s.List(ctx, spool.Filter{States: []spool.State{spool.Queued}, Order: spool.Oldest, After: after, Limit: 500})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, m := range page {
			after = m.ID
			for _, r := range m.In(spool.Queued) {
				if !r.Delivery.Next.IsZero() {
					fmt.Fprintln(say, "waiting", m.ID, r.Address)
				}
			}
		}
	}
}

// wasResumed fails unless the recipient has left the state it was found in.
func (r queuedOne) wasResumed(ctx context.Context, s *store.Store) error {
	log, err := s.Log(ctx, spool.LogFilter{ID: r.id, Recipient: r.to, After: r.entry, OldestFirst: true})
	if err != nil {
		return err
	}
	if len(log) == 0 {
		m, err := s.Get(ctx, r.id) // closed, and trimmed already?
		if errors.Is(err, spool.ErrNotFound) || err == nil && len(m.In(spool.Held))+len(m.In(spool.Queued)) == 0 {
			return nil
		}
	}
	if len(log) == 0 || log[0].From != spool.Queued {
		return fmt.Errorf("%s to %s was left queued by a crash, and is so after the start", r.id, r.to)
	}
	return nil
}
