// Bench measures the built mailgate on this machine, beside its peers in the same
// run, and prints figures; it asserts nothing about time. Its parts:
//
//	milter   signing, beside OpenDKIM and rspamd: the same RSA-2048 key, over Unix
//	         sockets, pre-flight on and DNS warm
//	custody  taking mail into custody, beside a bare Postfix accepting it
//	release  ten thousand held messages leave when their domain is mended
//	lists    starting with, and listing, a million held recipients
//	relay    the SMTP relay, beside Postfix: taking mail, taking and delivering it
//	         signed (Postfix with OpenDKIM), and a queue of 200,000 messages
//	socketmap
//	         answers about TLS policies, beside postfix-mta-sts-resolver
//
// Everything is on loopback, in a directory of its own, and ends with the run.
package main

import (
	"context"
	"crypto/rsa"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	mailgate string        // program
	only     string        // parts, with commas between; empty: all
	messages int           // in each measurement of signing
	rounds   int           // measurements of each milter, of which the median counts
	large    int           // sessions at the same time of the memory measurement
	size     int           // bytes of each of its bodies
	taken    int           // messages in each measurement of custody
	accepted int           // messages in each measurement of custody by Postfix
	released int           // messages of one domain
	held     int           // recipients in the store that is listed
	relayed  int           // messages in each measurement of the relay
	rows     string        // of the relay's tables of pairs: those whose name has this in it
	queued   int           // messages in the relay's queue
	asking   time.Duration // of each measurement of the socketmap
}

// bench is what the parts share.
type bench struct {
	options
	dir  string // Postfix's own user may enter it
	load string // program: test/milterload
	key  *rsa.PrivateKey
}

var parts = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"milter", compareMilters},
	{"custody", compareCustody},
	{"release", measureRelease},
	{"lists", measureLists},
	{"relay", measureRelay},
	{"socketmap", compareSocketmap},
}

func main() {
	var o options
	flag.StringVar(&o.mailgate, "mailgate", "bin/mailgate", "program to measure")
	flag.StringVar(&o.only, "only", "", "parts, with commas between: milter, custody, release, lists, relay, socketmap; empty: all")
	flag.IntVar(&o.messages, "messages", 3200, "messages in each measurement of signing")
	flag.IntVar(&o.rounds, "rounds", 3, "measurements of each; the median counts")
	flag.IntVar(&o.large, "large-sessions", 100, "sessions of the memory measurement")
	flag.IntVar(&o.size, "large-size", 25<<20, "bytes of each of its bodies")
	flag.IntVar(&o.taken, "taken", 9600, "messages in each measurement of custody by mailgate")
	flag.IntVar(&o.accepted, "accepted", 1600, "messages in each measurement of custody by Postfix, which takes longer")
	flag.IntVar(&o.released, "released", 10_000, "messages of one domain that are released")
	flag.IntVar(&o.held, "held", 1_000_000, "held recipients in the store that is listed")
	flag.IntVar(&o.relayed, "relayed", 4000, "messages in each measurement of the relay, and of Postfix beside it")
	flag.StringVar(&o.rows, "rows", "", "of the relay, only rows with `TEXT` in their name, such as taking or \"10 KiB, sessions kept\"; empty: all, and the queue")
	flag.IntVar(&o.queued, "queued", 200_000, "messages in the relay's queue")
	flag.DurationVar(&o.asking, "asking", 2*time.Second, "length of each measurement of the socketmap")
	echoes := flag.String("echo", "", "only send back what comes to this `NETWORK:ADDRESS`; part socketmap runs it so")
	flag.Parse()
	if network, address, ok := strings.Cut(*echoes, ":"); ok {
		fmt.Fprintln(os.Stderr, "bench:", echo(network, address))
		os.Exit(1)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	b, err := prepare(o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	fmt.Printf("%d CPUs, %s\n", runtime.NumCPU(), runtime.Version())
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		fmt.Printf("\n== %s\n\n", p.name)
		if err := p.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// choose returns the parts named.
func choose(only string) ([]string, error) {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	if only == "" {
		return all, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("no part %q: there are %s", name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

// prepare makes the directory, the load client and the key.
func prepare(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "mailgate-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, load: filepath.Join(dir, "milterload")}
	if err = os.Chmod(dir, 0o755); err == nil {
		b.key, err = makeKey(dir)
	}
	if err == nil {
		var out []byte
		if out, err = exec.Command("go", "build", "-o", b.load, "mailgate/test/milterload").CombinedOutput(); err != nil {
			err = fmt.Errorf("build milterload: %w\n%s", err, out)
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return b, nil
}
