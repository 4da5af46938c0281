package main

import (
	"context"
	"fmt"
	"time"
)

// measureRelease holds many messages of one domain, mends the domain's zone, and
// measures until all have left, through Postfix and its milter, to discard(8).
func measureRelease(ctx context.Context, b *bench) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	h, err := startHolding(b, "release", "[hold]\nrelease_rate = 0\n[release]\nvia = \""+ports[1]+"\"\n")
	if err != nil {
		return err
	}
	defer h.stop()
	p, err := startPostfixAt(b.dir, "unix:"+h.socket, ports, "")
	if p == nil {
		return err
	}
	defer p.stop()
	return releaseAll(ctx, b, h)
}

func releaseAll(ctx context.Context, b *bench, h *holding) error {
	each := max(1, b.released/custodySessions)
	if _, err := measureWith(ctx, b.load, h.milter, custodySessions, each, custodySize, "--unsigned-ok"); err != nil {
		return err
	}
	all := each * custodySessions
	if err := h.wantHeld(ctx, all); err != nil {
		return err
	}
	fmt.Printf("%d messages of 10 KiB of one domain are held; release_rate is 0\n\n", all)
	if err := publishAll(h.dns, b.key); err != nil {
		return err
	}
	asked, mended := h.dns.Count(), time.Now()
	first, err := h.waitDelivered(ctx, 1)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %9d\n", "queries until the first left", h.dns.Count()-asked)
	fmt.Printf("%-34s %9.1f s\n", "from the mended zone to the first", first.Sub(mended).Seconds())
	some, err := h.recipients(ctx, "delivered")
	if err != nil {
		return err
	}
	began := time.Now()
	last, err := h.waitDelivered(ctx, all)
	if err != nil {
		return err
	}
	took := last.Sub(began).Seconds()
	fmt.Printf("%-34s %9.1f s, %.0f messages a second\n", "from the first to the last", took, float64(all-some)/took)
	fmt.Printf("%-34s %9d\n", "queries in all", h.dns.Count()-asked)
	return nil
}

// releasePatience bounds the wait for all to leave.
const releasePatience = 15 * time.Minute

// waitDelivered waits until so many have left and says when that was.
func (h *holding) waitDelivered(ctx context.Context, want int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, releasePatience)
	defer cancel()
	for {
		delivered, err := h.recipients(ctx, "delivered")
		if err != nil {
			return time.Time{}, fmt.Errorf("wait for %d to be delivered: %w\n%s", want, err, h.tail())
		}
		if delivered >= want {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
