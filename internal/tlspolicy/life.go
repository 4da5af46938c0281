package tlspolicy

import (
	"context"
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

// do runs f, and reports false after the end.
func (l *life) do(f func(context.Context)) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.wg.Add(1)
	l.mu.Unlock()
	defer l.wg.Done()
	f(l.ctx)
	return true
}

// end cancels what runs and waits for it.
func (l *life) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.stop()
	l.wg.Wait()
}
