package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// socketmap is a server that is asked.
type socketmap struct {
	*process
	network, address string
	echo             bool
}

// compareSocketmap measures answers about TLS policies that are known, over TCP and
// over a Unix socket.
func compareSocketmap(ctx context.Context, b *bench) error {
	world, err := startSTS(b, filepath.Join(b.dir, "sts-roots.pem"))
	if err != nil {
		return err
	}
	defer world.stop()
	fmt.Printf("one connection, %v a measurement, median of %d; %d domains of each kind\n", b.asking, b.rounds, stsDomains)
	fmt.Printf("\n%-38s %9s %10s %10s %6s %9s %8s %13s %13s\n", "answers a second", "echo", "resolver", "mailgate", "×echo", "×resolver", "≥50,000", "CPU resolver", "CPU mailgate")
	for _, network := range []string{"tcp", "unix"} {
		if err := compareOver(ctx, b, world, network); err != nil {
			return err
		}
	}
	fmt.Print(`
echo:     a process of this program that sends back what it gets: what the machine's
          loopback allows
resolver: postfix-mta-sts-resolver, with its cache in memory. It keeps nothing of domains
          without a policy and asks DNS for them each time; the others are in memory in both
CPU:      of the server, for an answer; it hangs less on what else the machine does
`)
	return nil
}

// compareOver asks all servers in turn, round by round.
func compareOver(ctx context.Context, b *bench, world *stsWorld, network string) error {
	servers, err := startSocketmaps(b, world, network)
	for _, s := range servers {
		defer s.stop()
	}
	if err != nil {
		return err
	}
	kinds := []struct {
		name, answer string
		domains      []string
	}{{"MTA-STS", "OK secure ", world.with}, {"no policy", "NOTFOUND ", world.not}}
	for _, k := range kinds {
		if len(k.domains) == 0 {
			continue
		}
		for _, ahead := range []int{0, stsDomains} {
			name := fmt.Sprintf("%s, %s, one at a time", network, k.name)
			if ahead > 0 {
				name = fmt.Sprintf("%s, %s, %d ahead", network, k.name, ahead)
			}
			var ways []*asking
			for _, s := range servers {
				w := &asking{server: s, asker: asker{network: s.network, address: s.address, domains: k.domains, answer: k.answer, ahead: ahead}}
				if s.echo {
					w.answer = ""
				}
				ways = append(ways, w)
			}
			if err := measureAnswers(ctx, b, ways); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			printAnswers(name, ways)
		}
	}
	return nil
}

// asking is one way to ask, and what came of it.
type asking struct {
	asker
	server *socketmap
	rates  []float64 // answers a second
	costs  []float64 // µs of the server's CPU for an answer
}

func measureAnswers(ctx context.Context, b *bench, ways []*asking) error {
	for _, w := range ways {
		if err := w.warm(); err != nil {
			return fmt.Errorf("%s: %w\n%s", w.server.name, err, w.server.tail())
		}
	}
	for range b.rounds {
		for _, w := range ways {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.measure(b.asking); err != nil {
				return fmt.Errorf("%s: %w\n%s", w.server.name, err, w.server.tail())
			}
		}
	}
	return nil
}

func (w *asking) measure(d time.Duration) error {
	before, err := w.server.cpu()
	if err != nil {
		return err
	}
	n, took, err := w.run(d)
	if err != nil {
		return err
	}
	after, err := w.server.cpu()
	w.rates = append(w.rates, float64(n)/took.Seconds())
	w.costs = append(w.costs, 1000*milliseconds(after-before)/float64(n))
	return err
}

// printAnswers prints one line; ways are echo, mailgate and perhaps the resolver.
func printAnswers(name string, ways []*asking) {
	same := func(v float64) float64 { return v }
	echo, gateway := ways[0], ways[1]
	resolver, times, cost := "-", "-", "-"
	if len(ways) > 2 {
		resolver = fmt.Sprintf("%.0f", median(ways[2].rates, same))
		times = fmt.Sprintf("%.1f", median(quotients(gateway.rates, ways[2].rates), same))
		cost = fmt.Sprintf("%.1f µs", median(ways[2].costs, same))
	}
	rate, enough := median(gateway.rates, same), "no"
	if rate >= 50_000 {
		enough = "yes"
	}
	fmt.Printf("%-38s %9.0f %10s %10.0f %6.2f %9s %8s %13s %10.1f µs\n", name, median(echo.rates, same), resolver, rate,
		median(quotients(gateway.rates, echo.rates), same), times, enough, cost, median(gateway.costs, same))
}

// quotients are those of measurements made one after the other.
func quotients(a, b []float64) []float64 {
	q := make([]float64, len(a))
	for i := range a {
		q[i] = a[i] / b[i]
	}
	return q
}
