// Milterload puts load on a milter as Postfix does, and reports messages a
// second and the latency of a message. It works against any milter that signs:
// a message that comes back without a DKIM-Signature is an error.
//
//	milterload --to unix:/run/opendkim/opendkim.sock --sessions 8 --messages 500
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// options of one run.
type options struct {
	network, address string
	sessions         int // connections at the same time
	messages         int // messages on each connection
	size             int // bytes of each body
	from, to         string
	unsignedOK       bool
	timeout          time.Duration // for the whole run
	format           string
}

func parseOptions(args []string) (options, error) {
	var o options
	var at string
	flags := flag.NewFlagSet("milterload", flag.ContinueOnError)
	flags.StringVar(&at, "to", "", "milter to load: unix:/path or inet:host:port")
	flags.IntVar(&o.sessions, "sessions", 8, "sessions at the same time")
	flags.IntVar(&o.messages, "messages", 500, "messages in each session")
	flags.IntVar(&o.size, "size", 10<<10, "bytes in each body")
	flags.StringVar(&o.from, "from", "ann@example.com", "author and MAIL FROM")
	flags.StringVar(&o.to, "rcpt", "bob@example.net", "recipient")
	flags.BoolVar(&o.unsignedOK, "unsigned-ok", false, "don't ask for a signature on each message")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "for the whole run")
	flags.StringVar(&o.format, "format", "text", "text or json")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var ok bool
	o.network, o.address, ok = strings.Cut(at, ":")
	switch {
	case !ok || (o.network != "unix" && o.network != "inet"):
		return o, fmt.Errorf("--to %q: want unix:/path or inet:host:port", at)
	case o.sessions < 1 || o.messages < 1 || o.size < 0:
		return o, fmt.Errorf("--sessions and --messages must be at least 1, --size at least 0")
	case !strings.Contains(o.from, "@") || !strings.Contains(o.to, "@"):
		return o, fmt.Errorf("--from and --rcpt must be addresses")
	case o.format != "text" && o.format != "json":
		return o, fmt.Errorf("--format %q: want text or json", o.format)
	}
	if o.network == "inet" {
		o.network = "tcp"
	}
	return o, nil
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "milterload:", err)
		os.Exit(64)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	r := run(ctx, o)
	if err := r.print(os.Stdout, o.format); err != nil {
		fmt.Fprintln(os.Stderr, "milterload:", err)
	}
	if r.failed(o) {
		os.Exit(1)
	}
}

// report of one run, printed as text or JSON.
type report struct {
	Sessions  int            `json:"sessions"`
	Size      int            `json:"size"`
	Messages  int            `json:"messages"` // answered at the end of the message
	Signed    int            `json:"signed"`
	Seconds   float64        `json:"seconds"`
	PerSecond float64        `json:"per_second"`
	P50       float64        `json:"p50_ms"`
	P95       float64        `json:"p95_ms"`
	P99       float64        `json:"p99_ms"`
	Replies   map[string]int `json:"replies"` // final answers, by name
	Errors    map[string]int `json:"errors"`
}

// failed reports whether a message is missing, unsigned or refused.
func (r *report) failed(o options) bool {
	return len(r.Errors) > 0 || r.Messages != o.sessions*o.messages || (!o.unsignedOK && r.Signed != r.Messages)
}

func (r *report) print(w io.Writer, format string) error {
	if format == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%d sessions, %d messages of %d bytes in %.2f s: %.0f messages/s\n", r.Sessions, r.Messages, r.Size, r.Seconds, r.PerSecond)
	fmt.Fprintf(w, "latency p50 %.2f ms, p95 %.2f ms, p99 %.2f ms\n", r.P50, r.P95, r.P99)
	fmt.Fprintf(w, "signed %d of %d; replies:", r.Signed, r.Messages)
	for _, name := range slices.Sorted(maps.Keys(r.Replies)) {
		fmt.Fprintf(w, " %s %d", name, r.Replies[name])
	}
	fmt.Fprintln(w)
	for text, n := range r.Errors {
		fmt.Fprintf(w, "error, %d times: %s\n", n, text)
	}
	return nil
}
