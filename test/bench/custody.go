package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailgate/internal/dnstest"
)

const (
	custodySessions = 32
	custodySize     = 10 << 10
)

// holding is a gateway that holds all it is given, and its DNS.
type holding struct {
	*milter
	*control
	dns *dnstest.Server
}

func (h *holding) stop() {
	h.milter.stop()
	h.dns.Close()
}

// startHolding starts a gateway whose domain publishes neither key nor SPF.
func startHolding(b *bench, name, more string) (*holding, error) {
	dns, err := startDNS()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(b.dir, name+".toml")
	if err := os.WriteFile(config, []byte(mailgateConfig(b.dir, dns.Addr(), name, "auto", more)), 0o600); err != nil {
		return nil, err
	}
	m, err := startMilter(name, b.dir, b.mailgate, "serve", "--config", config)
	if err != nil {
		dns.Close()
		return nil, err
	}
	return &holding{m, controlAt(filepath.Join(b.dir, name+"-control.sock")), dns}, nil
}

// way is one way for messages to come to rest on disk.
type way struct {
	name     string
	run      func() (float64, error) // messages a second
	messages int                     // in each run
	servers  []*process              // that do the work
	rates    []float64
	costs    []float64 // milliseconds of the servers' CPU a message
}

// measure goes the way once.
func (w *way) measure() error {
	before, err := cpuOf(w.servers)
	if err != nil {
		return err
	}
	rate, err := w.run()
	if err != nil {
		return err
	}
	after, err := cpuOf(w.servers)
	if err != nil {
		return err
	}
	w.rates = append(w.rates, rate)
	w.costs = append(w.costs, milliseconds(after-before)/float64(w.messages))
	return nil
}

func cpuOf(servers []*process) (sum time.Duration, err error) {
	for _, p := range servers {
		used, err := p.cpu()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// compareCustody measures all ways in turn, round by round.
func compareCustody(ctx context.Context, b *bench) error {
	h, err := startHolding(b, "custody", "[hold]\nauto_release = false\n")
	if err != nil {
		return err
	}
	defer h.stop()
	p, err := startPostfix(b.dir, "unix:"+h.socket)
	if err != nil {
		return err
	}
	ways := []*way{
		{name: "fsync alone", messages: 1, run: func() (float64, error) { return fsyncs(b.dir) }},
		{name: "mailgate", messages: perSession(b) * custodySessions, servers: []*process{h.process}, run: func() (float64, error) { return takeAll(ctx, b, h) }},
	}
	if p != nil {
		defer p.stop()
		send := func(name, to string, servers ...*process) *way {
			return &way{name: name, messages: b.accepted, servers: servers, run: func() (float64, error) {
				return source(ctx, to, custodySessions, b.accepted, custodySize)
			}}
		}
		ways = append(ways, send("Postfix", p.bare, p.process), send("Postfix+mailgate", p.milted, p.process, h.process))
	}
	if err := measureAll(ways, b.rounds); err != nil {
		return err
	}
	want := 0
	for _, w := range ways {
		if slices.Contains(w.servers, h.process) {
			want += len(w.rates) * w.messages
		}
	}
	if err := h.wantHeld(ctx, want); err != nil {
		return err
	}
	printCustody(b, ways)
	return nil
}

// perSession is how many messages each session gives to mailgate.
func perSession(b *bench) int { return max(1, b.taken/custodySessions) }

// measureAll goes all ways in turn, round by round.
func measureAll(ways []*way, rounds int) error {
	for range rounds {
		for _, w := range ways {
			if err := w.measure(); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	return nil
}

// takeAll gives messages to the milter, which must say of each that it has it.
func takeAll(ctx context.Context, b *bench, h *holding) (float64, error) {
	r, err := measureWith(ctx, b.load, h.milter, custodySessions, perSession(b), custodySize, "--unsigned-ok")
	if err == nil && r.Replies["discard"] != r.Messages {
		err = fmt.Errorf("answers %v to %d messages", r.Replies, r.Messages)
	}
	return r.PerSecond, err
}

// wantHeld makes sure that every message is there.
func (h *holding) wantHeld(ctx context.Context, want int) error {
	held, err := h.recipients(ctx, "held")
	if err == nil && held != want {
		err = fmt.Errorf("%d recipients are held, %d were sent", held, want)
	}
	return err
}

// fsyncs is how many pieces of a message's size one goroutine can append to a file,
// each fsynced, a second.
func fsyncs(dir string) (float64, error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	piece := make([]byte, custodySize)
	n, began := 0, time.Now()
	for ; time.Since(began) < time.Second; n++ {
		if _, err := f.Write(piece); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

func printCustody(b *bench, ways []*way) {
	fmt.Printf("%d messages of 10 KiB a measurement, %d of Postfix, %d sessions, median of %d\n\n", b.taken, b.accepted, custodySessions, b.rounds)
	fmt.Printf("%-17s %7s %9s %10s\n", "", "msg/s", "×Postfix", "CPU ms/msg")
	same := func(r float64) float64 { return r }
	var bare float64
	for _, w := range ways {
		if w.name == "Postfix" {
			bare = median(w.rates, same)
		}
	}
	for _, w := range ways {
		rate, times, cost := median(w.rates, same), "-", "-"
		if bare > 0 {
			times = fmt.Sprintf("%.2f", rate/bare)
		}
		if len(w.servers) > 0 {
			cost = fmt.Sprintf("%.2f", median(w.costs, same))
		}
		fmt.Printf("%-17s %7.0f %9s %10s\n", w.name, rate, times, cost)
	}
	fmt.Print(`
fsync alone:      one thread appending 10 KiB and syncing, over and over
mailgate:         milterload at the milter; DISCARD once message, evidence and log are on disk
Postfix:          smtp-source at smtpd; 250 once the queue file is on disk; discard(8) after
Postfix+mailgate: smtp-source at smtpd, which has mailgate for its milter: each is held there
CPU ms/msg:       of the servers, not of the load client; it hangs less on what else
                  the machine does
`)
}
