package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mailgate/internal/dnstest"
)

// outcome is what milterload reports.
type outcome struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Messages  int     `json:"messages"`
	Signed    int     `json:"signed"`
}

// compareSpeed measures every milter in turn, round by round, and prints a table.
func compareSpeed(o options, load string, key *rsa.PrivateKey, milters []*milter, dns *dnstest.Server) error {
	for _, m := range milters { // warm
		if _, err := measure(load, m, 8, 25, 10<<10); err != nil {
			return err
		}
	}
	fmt.Printf("%-10s %8s %8s %10s %8s %8s %8s %8s %8s\n", "milter", "sessions", "msg/s", "×OpenDKIM", "×RSA", "p50 ms", "p95 ms", "p99 ms", "DNS/msg")
	for _, sessions := range []int{8, 32} {
		if err := compareAt(o, load, sessions, key, milters, dns); err != nil {
			return err
		}
	}
	fmt.Println("\n×RSA: against crypto/rsa alone, signing on all CPUs in the same run; the load client's own time is not taken off.")
	return nil
}

func compareAt(o options, load string, sessions int, key *rsa.PrivateKey, milters []*milter, dns *dnstest.Server) error {
	var raw []float64
	results, queries := make([][]outcome, len(milters)), 0
	for range o.rounds {
		raw = append(raw, rawRSA(key, 2*time.Second))
		for i, m := range milters {
			before := dns.Count()
			r, err := measure(load, m, sessions, max(1, o.messages/sessions), 10<<10)
			if err != nil {
				return err
			}
			results[i] = append(results[i], r)
			queries += dns.Count() - before // nobody but mailgate asks this server
		}
	}
	rsaSpeed := median(raw, func(v float64) float64 { return v })
	fmt.Printf("%-10s %8s %8.0f\n", "crypto/rsa", "", rsaSpeed)
	printRows(sessions, milters, results, rsaSpeed, queries)
	return nil
}

func printRows(sessions int, milters []*milter, results [][]outcome, rsaSpeed float64, queries int) {
	perSecond := func(r outcome) float64 { return r.PerSecond }
	var reference float64
	for i, m := range milters {
		if m.name == "OpenDKIM" {
			reference = median(results[i], perSecond)
		}
	}
	for i, m := range milters {
		speed, messages := median(results[i], perSecond), 0
		for _, r := range results[i] {
			messages += r.Messages
		}
		ratio, perMessage := "-", "-"
		if reference > 0 {
			ratio = fmt.Sprintf("%.2f", speed/reference)
		}
		if m.name == "mailgate" {
			perMessage = fmt.Sprintf("%.4f", float64(queries)/float64(messages))
		}
		fmt.Printf("%-10s %8d %8.0f %10s %8.2f %8.2f %8.2f %8.2f %8s\n", m.name, sessions, speed, ratio, speed/rsaSpeed,
			median(results[i], func(r outcome) float64 { return r.P50 }),
			median(results[i], func(r outcome) float64 { return r.P95 }),
			median(results[i], func(r outcome) float64 { return r.P99 }), perMessage)
	}
}

// measure loads one milter. A message that comes back unsigned is an error.
func measure(load string, m *milter, sessions, messages, size int) (outcome, error) {
	cmd := exec.Command(load, "--to", "unix:"+m.socket, "--sessions", strconv.Itoa(sessions), "--messages", strconv.Itoa(messages),
		"--size", strconv.Itoa(size), "--from", "ann@"+domain, "--rcpt", "bob@"+receiver, "--format", "json")
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("load %s: %w\n%s%s", m.name, err, out, m.tail())
	}
	var r outcome
	if err := json.Unmarshal(out, &r); err != nil {
		return outcome{}, fmt.Errorf("load %s: %w", m.name, err)
	}
	return r, nil
}

// rawRSA returns how many signatures a second crypto/rsa makes on all CPUs.
func rawRSA(key *rsa.PrivateKey, d time.Duration) float64 {
	digest := sha256.Sum256([]byte("a message"))
	var made atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
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
	return float64(made.Load()) / time.Since(began).Seconds()
}

func median[T any](all []T, value func(T) float64) float64 {
	var v []float64
	for _, x := range all {
		v = append(v, value(x))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
