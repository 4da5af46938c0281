package tlspolicy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// patience is a context with an end, whose timer begins when somebody waits: most
// look-ups find all they need in memory.
type patience struct {
	context.Context // of the caller
	end             time.Time

	mu    sync.Mutex
	timed context.Context // nil: nobody waits yet
	stop  context.CancelFunc
}

var errCold = errors.New("the answer takes too long")

// within returns a context that ends after a while, with the cause errCold. stop is
// to be called when it isn't used any more.
func within(ctx context.Context, d time.Duration) (_ context.Context, stop func()) {
	p := &patience{Context: ctx, end: time.Now().Add(d)}
	return p, p.close
}

func (p *patience) wait() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		p.timed, p.stop = context.WithDeadlineCause(p.Context, p.end, errCold)
	}
	return p.timed
}

func (p *patience) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed != nil {
		p.stop()
	}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.wait().Deadline() }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.wait().Done() }

// Err implements context.Context.
func (p *patience) Err() error { return p.wait().Err() }

// Value implements context.Context; context.Cause asks it.
func (p *patience) Value(key any) any {
	p.mu.Lock()
	ctx := p.timed
	p.mu.Unlock()
	if ctx == nil {
		ctx = p.Context
	}
	return ctx.Value(key)
}
