package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// run opens all sessions, then sends their messages at the same time.
func run(ctx context.Context, o options) *report {
	results := make([]result, o.sessions)
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	ready.Add(o.sessions)
	for i := range results {
		done.Go(func() { results[i] = one(ctx, o, i, &ready, start) })
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	return summarise(o, results, time.Since(began))
}

// result of one session.
type result struct {
	latencies []time.Duration
	replies   map[string]int
	signed    int
	err       error
}

// one is one session: connect, wait for the others, send the messages, quit.
func one(ctx context.Context, o options, n int, ready *sync.WaitGroup, start <-chan struct{}) (r result) {
	r.replies = map[string]int{}
	s, err := open(ctx, o)
	ready.Done()
	if err != nil {
		r.err = err
		return r
	}
	defer s.close()
	<-start
	for i := range o.messages {
		began := time.Now()
		a, err := s.send(newMessage(o, n, i))
		if err != nil {
			r.err = fmt.Errorf("message %d of a session: %w", i+1, err)
			return r
		}
		r.latencies = append(r.latencies, time.Since(began))
		r.replies[a.final]++
		if a.signatures > 0 {
			r.signed++
		}
	}
	return r
}

func summarise(o options, results []result, took time.Duration) *report {
	rep := &report{Sessions: o.sessions, Size: o.size, Seconds: took.Seconds(), Replies: map[string]int{}, Errors: map[string]int{}}
	var all []time.Duration
	for _, r := range results {
		all = append(all, r.latencies...)
		rep.Signed += r.signed
		for name, n := range r.replies {
			rep.Replies[name] += n
		}
		if r.err != nil {
			rep.Errors[r.err.Error()]++
		}
	}
	rep.Messages = len(all)
	rep.PerSecond = float64(len(all)) / took.Seconds()
	slices.Sort(all)
	rep.P50, rep.P95, rep.P99 = quantile(all, 0.50), quantile(all, 0.95), quantile(all, 0.99)
	return rep
}

// quantile returns the q-th quantile of sorted latencies in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}
