package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// listings are the pages asked for, in the words of the API.
var listings = []struct{ name, query string }{
	{"first page", "state=held"},
	{"by domain", "state=held&domain=d7.example"},
	{"by sender", "state=held&sender=writer7@d7.example"},
	{"by recipient", "state=held&recipient=reader77777"},
	{"by finding", "state=held&code=dns-unreachable"},
	{"by provider", "state=held&provider=yahoo"},
	{"by cause", "state=held&reason=waiting"},
	{"by text", "state=held&text=report+777777"},
	{"text of none", "state=held&text=no+message+has+this"},
	{"oldest first", "state=held&sort=oldest"},
	{"largest first", "state=held&sort=largest"},
}

const listRounds = 9

// measureLists fills a store, starts a gateway with it, and asks for pages.
func measureLists(ctx context.Context, b *bench) error {
	path := filepath.Join(b.dir, "lists.db")
	defer os.Remove(path)
	began := time.Now()
	if err := fill(ctx, path, b.held); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("%d held recipients of a thousand domains, a database of %d MiB, made in %.0f s\n\n", b.held, info.Size()>>20, took.Seconds())

	// The domains have no keys here, so that no re-check asks DNS meanwhile.
	began = time.Now()
	h, err := startHolding(b, "lists", "[hold]\nauto_release = false\n")
	if err != nil {
		return err
	}
	defer h.stop()
	fmt.Printf("%-34s %9.0f ms\n", "start to serving", milliseconds(time.Since(began)))
	if err := h.wantHeld(ctx, b.held); err != nil {
		return err
	}
	began = time.Now()
	if err := h.untilIdle(ctx); err != nil {
		return err
	}
	fmt.Printf("%-34s %9.0f ms\n", "and idle after another", milliseconds(time.Since(began)))
	if err := timePages(ctx, h); err != nil {
		return err
	}
	return printMemory(h)
}

// untilIdle waits until a process does little: what it had to catch up with is done.
func (p *process) untilIdle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const little, at = time.Second / 20, time.Second
	for {
		before, err := p.cpu()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still busy: %w", p.name, ctx.Err())
		case <-time.After(at):
		}
		after, err := p.cpu()
		if err != nil || after-before < little {
			return err
		}
	}
}

func timePages(ctx context.Context, h *holding) error {
	fmt.Printf("\n%-34s %9s %9s %9s\n", "over the control socket", "first ms", "median ms", "worst ms")
	if err := timePage(ctx, h, "status", "/v1/status"); err != nil {
		return err
	}
	var last string
	for _, l := range listings {
		if err := timePage(ctx, h, "list, "+l.name, "/v1/quarantine?limit=50&"+l.query); err != nil {
			return err
		}
		var page struct {
			Messages []struct{ ID string } `json:"messages"`
		}
		if _, err := h.call(ctx, http.MethodGet, "/v1/quarantine?limit=50&"+l.query, &page); err != nil {
			return err
		}
		if n := len(page.Messages); n > 0 && last == "" {
			last = page.Messages[n-1].ID
		}
	}
	return timePage(ctx, h, "list, second page", "/v1/quarantine?limit=50&state=held&after="+last)
}

// timePage asks for one page again and again.
func timePage(ctx context.Context, h *holding, name, path string) error {
	var times []time.Duration
	for range listRounds {
		took, err := h.call(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	worst := times[0]
	for _, t := range times {
		worst = max(worst, t)
	}
	fmt.Printf("%-34s %9.1f %9.1f %9.1f\n", name, milliseconds(times[0]), median(times, milliseconds), milliseconds(worst))
	return nil
}

func printMemory(h *holding) error {
	now, err := h.memory("VmRSS")
	if err != nil {
		return err
	}
	peak, err := h.memory("VmHWM")
	if err != nil {
		return err
	}
	fmt.Printf("\nmemory of the gateway: %.0f MiB, %.0f MiB at most\n", now, peak)
	return nil
}
