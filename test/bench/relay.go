package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mailgate/internal/dnstest"
)

// relaySessions is how many sessions submit at the same time.
const relaySessions = 20

// relaySizes are the sizes of messages, in bytes.
var relaySizes = []int{4 << 10, 10 << 10}

// measureRelay measures the SMTP relay: taking, taking and delivering, a full queue.
func measureRelay(ctx context.Context, b *bench) error {
	fmt.Printf("%d messages a measurement, %d sessions, median of %d; RSA-2048, pre-flight on, DNS warm\n", b.relayed, relaySessions, b.rounds)
	for _, part := range []func(context.Context, *bench) error{compareTaking, compareDelivery} {
		if err := part(ctx, b); err != nil {
			return err
		}
	}
	if b.rows != "" {
		return nil
	}
	return measureQueue(ctx, b)
}

// relayRow is one row of a table of pairs.
type relayRow struct {
	name   string
	size   int
	single bool
}

// relayRows returns those rows of a table that are asked for.
func (b *bench) relayRows(table string) []relayRow {
	var rows []relayRow
	for _, size := range relaySizes {
		for _, r := range []relayRow{{"sessions kept", size, false}, {"a session for each", size, true}} {
			r.name = fmt.Sprintf("%s %d KiB, %s", table, size>>10, r.name)
			if strings.Contains(r.name, b.rows) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// gateway is a mailgate with its relay open, and its DNS.
type gateway struct {
	*milter
	*control
	dns   *dnstest.Server
	relay string // where it takes mail
}

func (g *gateway) stop() {
	g.milter.stop()
	g.dns.Close()
}

// startRelay starts a gateway with that name and that next hop; its domain publishes
// all it should, so that what it takes passes.
func startRelay(b *bench, name, nextHop string) (*gateway, error) {
	dns, err := startDNS()
	if err != nil {
		return nil, err
	}
	g, err := startRelayWith(b, dns, name, nextHop)
	if err != nil {
		dns.Close()
	}
	return g, err
}

func startRelayWith(b *bench, dns *dnstest.Server, name, nextHop string) (*gateway, error) {
	if err := publishAll(dns, b.key); err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	more := fmt.Sprintf("[relay]\nlisten = %q\ntrusted = [\"127.0.0.0/8\"]\nnext_hop = %q\n", ports[0], nextHop)
	config := filepath.Join(b.dir, name+".toml")
	if err := os.WriteFile(config, []byte(mailgateConfig(b.dir, dns.Addr(), name, "auto", more)), 0o600); err != nil {
		return nil, err
	}
	m, err := startMilter(name, b.dir, b.mailgate, "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	if err := m.ready(func() bool { return listening("tcp", ports[0]) }); err != nil {
		m.stop()
		return nil, err
	}
	return &gateway{m, controlAt(filepath.Join(b.dir, name+"-control.sock")), dns, ports[0]}, nil
}

// terminate asks the gateway to end, and doesn't wait.
func (g *gateway) terminate() { _ = g.cmd.Process.Signal(syscall.SIGTERM) }

// pair is one measurement that is made of Postfix and of mailgate in turn.
type pair struct {
	name             string
	postfix, gateway *way // postfix: nil where it isn't there
}

// printPairsHeader begins a table of pairs.
func printPairsHeader() {
	fmt.Printf("\n%-36s %9s %9s %9s %12s %12s\n", "", "Postfix", "mailgate", "×Postfix", "Postfix CPU", "mailgate CPU")
}

func (p pair) print() {
	same := func(v float64) float64 { return v }
	rate, times, cost := "-", "-", "-"
	if p.postfix != nil {
		var ratios []float64
		for i, r := range p.gateway.rates {
			ratios = append(ratios, r/p.postfix.rates[i])
		}
		rate = fmt.Sprintf("%.0f", median(p.postfix.rates, same))
		times = fmt.Sprintf("%.2f", median(ratios, same))
		cost = fmt.Sprintf("%.2f ms", median(p.postfix.costs, same))
	}
	fmt.Printf("%-36s %9s %9.0f %9s %12s %9.2f ms\n", p.name, rate, median(p.gateway.rates, same), times, cost, median(p.gateway.costs, same))
}

// measure goes both ways in turn, round by round, and prints what came of it.
func (p pair) measure(rounds int) error {
	ways := []*way{p.gateway}
	if p.postfix != nil {
		ways = []*way{p.postfix, p.gateway}
	}
	if err := measureAll(ways, rounds); err != nil {
		return err
	}
	p.print()
	return nil
}
