package rotation

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Run looks as often as it has to, is woken by an order, and ends with its context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.host = &host{zone: w.zone}
		w.engine.o.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.engine.Run(ctx) }()
		synctest.Wait()
		w.rotate()
		wants := []struct {
			after time.Duration
			state State
		}{{20 * time.Second, Holding}, {4 * time.Minute, Holding}, {3 * time.Minute, Signing}, {6 * day, Signing}, {day + time.Hour, Done}}
		for _, want := range wants {
			time.Sleep(want.after)
			synctest.Wait()
			if r := w.rotation(); r.State != want.state {
				t.Errorf("%v: %s (%s), want %s", time.Now(), r.State, r.Problem, want.state)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
