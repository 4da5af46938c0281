package dnsview

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errClosed = errors.New("the resolver is closed")

// maxRefreshes bounds the background refreshes of one memo.
const maxRefreshes = 16

// memo remembers values by key until they expire, the least recently used
// leaving first when there are too many. Of many callers that want the same
// unknown value one look-up serves all, and a caller that gives up doesn't end
// it. A value used in the last fifth of its life is looked up again in the
// background.
type memo[V any] struct {
	life  *life
	now   func() time.Time
	limit int
	retry time.Duration // before the next refresh, after one that learned nothing

	lookupTime, flightTime time.Duration

	mu         sync.Mutex
	entries    map[string]*list.Element
	order      *list.List // of *entry[V], most recently used first
	flights    map[string]*flight[V]
	refreshing int
	seq        uint64
}

// outcome is what a look-up returns.
type outcome[V any] struct {
	value   V
	expires time.Time
	unknown bool // doesn't replace a value that is still good
}

type entry[V any] struct {
	key     string
	value   V
	asked   time.Time
	seq     uint64
	expires time.Time
	refresh time.Time
	unknown bool
}

type flight[V any] struct {
	asked time.Time
	seq   uint64
	done  chan struct{}
	value V
	err   error
}

func newMemo[V any](l *life, o Options) *memo[V] {
	return &memo[V]{
		life:       l,
		now:        o.Now,
		limit:      o.MaxEntries,
		retry:      o.UnknownTTL,
		lookupTime: o.LookupTime,
		flightTime: o.flightTime(),
		entries:    map[string]*list.Element{},
		order:      list.New(),
		flights:    map[string]*flight[V]{},
	}
}

// get returns the value of key, from memory or by look. The error is that of
// ctx, errClosed, or tells of a panic in look.
func (m *memo[V]) get(ctx context.Context, key string, look func(context.Context) outcome[V]) (V, error) {
	want := wish(ctx)
	caller := m.number()
	v, f := m.rememberedOrJoined(ctx, key, want, caller, look)
	if f == nil {
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.lookupTime)
	defer cancel()
	for f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return v, ctx.Err()
		}
		if want.accepts(f.seq, f.asked, caller, m.now()) {
			return f.value, f.err
		}
		v, f = m.rememberedOrJoined(ctx, key, want, caller, look)
	}
	return v, nil
}

// number gives a caller its place in the order of events.
func (m *memo[V]) number() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	return m.seq
}

// rememberedOrJoined returns a value, or else the look-up to wait for.
func (m *memo[V]) rememberedOrJoined(ctx context.Context, key string, want freshness, caller uint64, look func(context.Context) outcome[V]) (V, *flight[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.remembered(key, want, caller, look)
	if ok {
		return v, nil
	}
	return v, m.join(ctx, key, look)
}

// remembered returns an entry that is good enough, and refreshes it if it is
// old; with m.mu held.
func (m *memo[V]) remembered(key string, want freshness, caller uint64, look func(context.Context) outcome[V]) (V, bool) {
	var none V
	el, ok := m.entries[key]
	if !ok {
		return none, false
	}
	e, now := el.Value.(*entry[V]), m.now()
	if !now.Before(e.expires) || !want.accepts(e.seq, e.asked, caller, now) {
		return none, false
	}
	m.order.MoveToFront(el)
	if !now.Before(e.refresh) && m.flights[key] == nil && m.refreshing < maxRefreshes {
		m.refreshing++
		m.launch(context.Background(), key, look, func() { m.refreshing-- })
	}
	return e.value, true
}

// join returns the look-up under way, or a new one; with m.mu held.
func (m *memo[V]) join(ctx context.Context, key string, look func(context.Context) outcome[V]) *flight[V] {
	if f := m.flights[key]; f != nil {
		return f
	}
	return m.launch(ctx, key, look, func() {})
}

// launch begins a look-up that lives as long as the resolver lets it, not as
// its first caller; with m.mu held, as it is for after.
func (m *memo[V]) launch(ctx context.Context, key string, look func(context.Context) outcome[V], after func()) *flight[V] {
	m.seq++
	f := &flight[V]{asked: m.now(), seq: m.seq, done: make(chan struct{})}
	m.flights[key] = f
	finish := func(o outcome[V], err error) {
		f.value, f.err = o.value, err
		if err == nil {
			m.store(key, f, o)
		}
		delete(m.flights, key)
		after()
		close(f.done)
	}
	started := m.life.run(func(life context.Context) {
		life, cancel := context.WithTimeout(carry(life, ctx), m.flightTime)
		defer cancel()
		o, err := guarded(life, look)
		m.mu.Lock()
		defer m.mu.Unlock()
		finish(o, err)
	})
	if !started {
		finish(outcome[V]{}, errClosed)
	}
	return f
}

// guarded turns a panic, which hostile bytes might cause, into an error.
func guarded[V any](ctx context.Context, look func(context.Context) outcome[V]) (o outcome[V], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return look(ctx), nil
}

// store keeps o; with m.mu held.
func (m *memo[V]) store(key string, f *flight[V], o outcome[V]) {
	now := m.now()
	e := &entry[V]{key: key, value: o.value, asked: f.asked, seq: f.seq, expires: o.expires, unknown: o.unknown}
	e.refresh = e.expires.Add(-e.expires.Sub(e.asked) / 5)
	el, ok := m.entries[key]
	if !ok {
		m.entries[key] = m.order.PushFront(e)
		m.evict()
		return
	}
	old := el.Value.(*entry[V])
	if o.unknown && !old.unknown && now.Before(old.expires) {
		old.refresh = now.Add(m.retry)
		return
	}
	el.Value = e
	m.order.MoveToFront(el)
}

func (m *memo[V]) evict() {
	for m.order.Len() > m.limit {
		last := m.order.Back()
		m.order.Remove(last)
		delete(m.entries, last.Value.(*entry[V]).key)
	}
}

// forget drops what is remembered of key.
func (m *memo[V]) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el, ok := m.entries[key]; ok {
		m.order.Remove(el)
		delete(m.entries, key)
	}
}

func (m *memo[V]) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order.Len()
}
