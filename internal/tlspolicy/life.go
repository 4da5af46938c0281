package tlspolicy

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// life is that of background work.
type life struct {
	ctx  context.Context
	stop context.CancelFunc

	mu    sync.Mutex
	ended bool
	wg    sync.WaitGroup
}

func newLife(ctx context.Context) *life {
	l := &life{}
	l.ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

var errEnded = errors.New("the policies were closed")

// do runs f. The error is errEnded, or tells of a panic in f, which hostile bytes
// might cause.
func (l *life) do(f func(context.Context)) (err error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return errEnded
	}
	l.wg.Add(1)
	l.mu.Unlock()
	defer l.wg.Done()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	f(l.ctx)
	return nil
}

// end cancels what runs and waits for it.
func (l *life) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.stop()
	l.wg.Wait()
}
