// Bench compares mailgate with other signing milters on this machine: the same
// RSA-2048 key, over Unix sockets, alternating in one run. It starts mailgate with
// pre-flight on and DNS warm, OpenDKIM and rspamd where they are installed, and
// loads each with test/milterload.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// options of a comparison.
type options struct {
	mailgate string // program
	messages int    // in each measurement
	rounds   int    // measurements of each milter, of which the median counts
	large    int    // sessions at the same time of the memory measurement
	size     int    // bytes of each of its bodies
}

func main() {
	var o options
	flag.StringVar(&o.mailgate, "mailgate", "bin/mailgate", "program to measure; empty: only the others")
	flag.IntVar(&o.messages, "messages", 3200, "messages in each measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "measurements of each milter; the median counts")
	flag.IntVar(&o.large, "large-sessions", 100, "sessions of the memory measurement")
	flag.IntVar(&o.size, "large-size", 25<<20, "bytes of each of its bodies")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "mailgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	load := filepath.Join(dir, "milterload")
	if out, err := exec.Command("go", "build", "-o", load, "mailgate/test/milterload").CombinedOutput(); err != nil {
		return fmt.Errorf("build milterload: %w\n%s", err, out)
	}
	key, err := makeKey(dir)
	if err != nil {
		return err
	}
	milters, dns, err := startAll(dir, o.mailgate, key)
	for _, m := range milters {
		defer m.stop()
	}
	if dns != nil {
		defer dns.Close()
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d CPUs, %s; %d messages of 10 KiB a measurement, median of %d\n\n", runtime.NumCPU(), runtime.Version(), o.messages, o.rounds)
	if err := compareSpeed(ctx, o, load, key, milters, dns); err != nil {
		return err
	}
	return compareMemory(ctx, o, load, milters)
}
