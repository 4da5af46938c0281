package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mailgate/internal/dnstest"
)

// outcome is what milterload reports, and what the milter used meanwhile.
type outcome struct {
	PerSecond float64        `json:"per_second"`
	P50       float64        `json:"p50_ms"`
	P95       float64        `json:"p95_ms"`
	P99       float64        `json:"p99_ms"`
	Messages  int            `json:"messages"`
	Replies   map[string]int `json:"replies"`

	cpu     float64 // milliseconds of CPU a message
	queries float64 // questions to the DNS server a message
}

// signing is what crypto/rsa alone can do.
type signing struct {
	perSecond float64 // on all CPUs
	cpu       float64 // milliseconds of CPU a signature
}

// compareSpeed measures every milter in turn, round by round, and prints a table.
func compareSpeed(ctx context.Context, o options, load string, key *rsa.PrivateKey, milters []*milter, dns *dnstest.Server) error {
	for _, m := range milters { // warm
		if _, err := measure(ctx, load, m, 8, 25, 10<<10); err != nil {
			return err
		}
	}
	fmt.Printf("%-12s %8s %7s %9s %6s %10s %8s %8s %8s %8s %8s\n", "milter", "sessions", "msg/s", "×OpenDKIM", "×RSA", "CPU ms/msg", "RSA/CPU", "p50 ms", "p95 ms", "p99 ms", "DNS/msg")
	for _, sessions := range []int{8, 32} {
		if err := compareAt(ctx, o, load, sessions, key, milters, dns); err != nil {
			return err
		}
	}
	fmt.Print(`
×RSA: messages a second against the signatures a second that crypto/rsa alone
      makes on all CPUs in the same run; the load client runs on the same CPUs.
RSA/CPU: CPU time of a crypto/rsa signature against that of a message in the
      milter; it does not depend on what else the machine does.
DNS/msg: questions mailgate asked, in the whole measurement.
`)
	return nil
}

func compareAt(ctx context.Context, o options, load string, sessions int, key *rsa.PrivateKey, milters []*milter, dns *dnstest.Server) error {
	var raw []signing
	results := make([][]outcome, len(milters))
	for range o.rounds {
		raw = append(raw, rawRSA(key, 2*time.Second))
		for i, m := range milters {
			before := dns.Count()
			r, err := measure(ctx, load, m, sessions, max(1, o.messages/sessions), 10<<10)
			if err != nil {
				return err
			}
			// Nobody but mailgate asks this server.
			r.queries = float64(dns.Count()-before) / float64(r.Messages)
			results[i] = append(results[i], r)
		}
	}
	alone := signing{
		perSecond: median(raw, func(s signing) float64 { return s.perSecond }),
		cpu:       median(raw, func(s signing) float64 { return s.cpu }),
	}
	fmt.Printf("%-12s %8s %7.0f %9s %6s %10.2f\n", "crypto/rsa", "", alone.perSecond, "", "", alone.cpu)
	printRows(sessions, milters, results, alone)
	return nil
}

func printRows(sessions int, milters []*milter, results [][]outcome, alone signing) {
	reference := "-"
	var openDKIM float64
	for i, m := range milters {
		if m.name == "OpenDKIM" {
			openDKIM = median(results[i], func(r outcome) float64 { return r.PerSecond })
		}
	}
	for i, m := range milters {
		of := func(value func(outcome) float64) float64 { return median(results[i], value) }
		speed, cpu := of(func(r outcome) float64 { return r.PerSecond }), of(func(r outcome) float64 { return r.cpu })
		if openDKIM > 0 {
			reference = fmt.Sprintf("%.2f", speed/openDKIM)
		}
		fmt.Printf("%-12s %8d %7.0f %9s %6.2f %10.2f %8.2f %8.2f %8.2f %8.2f", m.name, sessions, speed, reference, speed/alone.perSecond, cpu, alone.cpu/cpu,
			of(func(r outcome) float64 { return r.P50 }), of(func(r outcome) float64 { return r.P95 }), of(func(r outcome) float64 { return r.P99 }))
		if strings.HasPrefix(m.name, "mailgate") {
			fmt.Printf(" %8.4f", of(func(r outcome) float64 { return r.queries }))
		}
		fmt.Println()
	}
}

// measure loads one milter. A message that comes back unsigned is an error.
func measure(ctx context.Context, load string, m *milter, sessions, messages, size int) (outcome, error) {
	return measureWith(ctx, load, m, sessions, messages, size)
}

// measureWith gives the load client more arguments.
func measureWith(ctx context.Context, load string, m *milter, sessions, messages, size int, more ...string) (outcome, error) {
	before, err := m.cpu()
	if err != nil {
		return outcome{}, err
	}
	args := append([]string{"--to", "unix:" + m.socket, "--sessions", strconv.Itoa(sessions), "--messages", strconv.Itoa(messages),
		"--size", strconv.Itoa(size), "--from", "ann@" + domain, "--rcpt", "bob@" + receiver, "--format", "json"}, more...)
	cmd := exec.CommandContext(ctx, load, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // leaves more of the machine to the milter
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("load %s: %w\n%s%s", m.name, err, out, m.tail())
	}
	after, err := m.cpu()
	if err != nil {
		return outcome{}, err
	}
	var r outcome
	if err := json.Unmarshal(out, &r); err != nil {
		return outcome{}, fmt.Errorf("load %s: %w", m.name, err)
	}
	r.cpu = milliseconds(after-before) / float64(r.Messages)
	return r, nil
}

// rawRSA measures crypto/rsa on all CPUs.
func rawRSA(key *rsa.PrivateKey, d time.Duration) signing {
	digest := sha256.Sum256([]byte("a message"))
	var made atomic.Int64
	var running sync.WaitGroup
	before, began := ownCPU(), time.Now()
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for time.Since(began) < d {
				if _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]); err != nil {
					return
				}
				made.Add(1)
			}
		})
	}
	running.Wait()
	n := float64(made.Load())
	return signing{perSecond: n / time.Since(began).Seconds(), cpu: milliseconds(ownCPU()-before) / n}
}

// ownCPU returns the time this process has run.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median[T any](all []T, value func(T) float64) float64 {
	var v []float64
	for _, x := range all {
		v = append(v, value(x))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
