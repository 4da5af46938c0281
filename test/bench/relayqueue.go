package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
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
claim, settle: in the store, the database in memory
start:         until the gateway takes mail
memory:        resident, once it is idle, and at most since its start
through:       messages of 4 KiB a second, from the first submission until the last
               has arrived, beside the queue; median of %d
`, b.rounds)
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
		n, info.Size()>>20, claim, settle, start.Seconds(), idle, most, rate)
	return nil
}

// makeQueue has a benchmark of cmd/mailgate make a store with n queued messages at
// path, in memory first where there is room for that, and returns the milliseconds
// that a claim costs there, and settling a message.
func makeQueue(ctx context.Context, path string, n int) (claim, settle float64, err error) {
	dir, err := os.MkdirTemp("/dev/shm", "mailgate-bench-")
	if err != nil {
		return runFillQueue(ctx, path, n)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "made.db")
	if claim, settle, err = runFillQueue(ctx, made, n); err == nil {
		err = copyFile(made, path)
	}
	return claim, settle, err
}

func runFillQueue(ctx context.Context, path string, n int) (claim, settle float64, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkFillQueue$", "-benchtime", "1x", "-timeout", "1h", "mailgate/cmd/mailgate")
	cmd.Env = append(os.Environ(), "MAILGATE_BENCH_STORE="+path, "MAILGATE_BENCH_QUEUED="+strconv.Itoa(n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		claim, err = metric(out, "claim-ms")
	}
	if err == nil {
		settle, err = metric(out, "settle-ms")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("make a queue: %w\n%s", err, out)
	}
	return claim, settle, nil
}

// metric finds what a benchmark reports in a unit.
func metric(out []byte, unit string) (float64, error) {
	found := regexp.MustCompile(`([0-9.]+) ` + regexp.QuoteMeta(unit) + `\b`).FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("the benchmark reports no %s", unit)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
