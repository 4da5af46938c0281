package dnsview

import (
	"context"
	"sync"
)

// life is that of the resolver's background work.
type life struct {
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newLife() *life {
	l := &life{}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// run starts f in the background and reports false after the end.
func (l *life) run(f func(context.Context)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(func() { f(l.ctx) })
	return true
}

// end cancels what runs and waits for it.
func (l *life) end() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.wg.Wait()
}
