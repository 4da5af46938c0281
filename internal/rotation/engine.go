package rotation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

var (
	// ErrOrder: the order can't be understood.
	ErrOrder = errors.New("can't be rotated")
	// ErrNoKey: no such key signs here.
	ErrNoKey = errors.New("no such signing key here")
	// ErrNone: no such rotation.
	ErrNone = errors.New("no such rotation")
	// ErrTooLate: the old key is on its way out already.
	ErrTooLate = errors.New("too late")
	// ErrInvisible: the key to go back to isn't visible at every name server.
	ErrInvisible = errors.New("not visible at every name server")
	// ErrUnsure: DNS gives no answer now.
	ErrUnsure = errors.New("DNS gives no answer")
)

// Site is what the configuration in force says.
type Site struct {
	Keys  []Key
	Dir   string        // of new key files; empty: beside the key that is replaced
	Grace time.Duration // that the old key stays on standby
}

// Key is a configured key.
type Key struct {
	Use
	Domain mail.Domain   // d=
	Every  time.Duration // it is replaced when it is older; 0: only when told to
}

// Publisher writes records at a domain's DNS host.
type Publisher interface {
	// Publish makes value a TXT record of name in place of those given, which are
	// all there are. Doing it again is no fault.
	Publish(ctx context.Context, name, value string, replaces []string, ttl time.Duration) error
}

// Options are what an Engine works with.
type Options struct {
	Notes     spool.Notes
	DNS       func() View
	Site      func() Site
	Publisher func(d mail.Domain) Publisher // nil: none
	// Apply makes the gateway sign as Book says. Until it succeeds, no key is
	// revoked that may still be in use.
	Apply func(ctx context.Context) error
	// Made is when a key file was written.
	Made func(file string) (time.Time, error)

	Log        *slog.Logger
	Now        func() time.Time  // nil: time.Now
	CrashPoint func(name string) // for tests; nil: none
}

// CrashPoints are the names that Options.CrashPoint is called with.
func CrashPoints() []string {
	return []string{"rotate-key-written", "rotate-begun", "rotate-published", "rotate-kept", "rotate-applied", "rotate-revoked"}
}

// Engine drives rotations. It is safe for concurrent use.
type Engine struct {
	o Options

	working sync.Mutex // one step at a time

	mu      sync.Mutex
	book    Book
	unkept  map[string]Rotation  // looks that changed nothing worth a note, by OldName
	next    map[string]time.Time // look at DNS again
	told    map[string]time.Time // last reminder of what a person has to do
	stoodIn map[string]time.Time // the old key signed, by OldName
	review  bool                 // the configuration is new: forget what it has left behind
	behind  bool                 // Apply failed: the gateway doesn't sign as the book says
	autoRun time.Time            // last automatic begin
	tried   map[string]time.Time // automatic begins that failed, by the key's name
	wake    chan struct{}
}

// New makes an engine of the rotations that Load returned.
func New(book Book, o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CrashPoint == nil {
		o.CrashPoint = func(string) {}
	}
	return &Engine{
		o: o, book: book, wake: make(chan struct{}, 1), review: true, stoodIn: map[string]time.Time{},
		unkept: map[string]Rotation{}, next: map[string]time.Time{}, told: map[string]time.Time{}, tried: map[string]time.Time{},
	}
}

// Book returns the rotations as they are kept.
func (e *Engine) Book() Book {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book
}

// Rotations returns those of a domain with what was last seen; empty: all.
func (e *Engine) Rotations(d mail.Domain) []Rotation {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := []Rotation{}
	for _, r := range e.book.All() {
		if seen, ok := e.unkept[r.OldName()]; ok {
			r = seen
		}
		if d == "" || r.Domain == d {
			list = append(list, r)
		}
	}
	return list
}

// current is a rotation by OldName with what was last seen.
func (e *Engine) current(name string) (Rotation, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r, ok := e.unkept[name]; ok {
		return r, true
	}
	if r := e.book.all[name]; r != nil {
		return *r, true
	}
	return Rotation{}, false
}

// note remembers what was seen until the next step is kept.
func (e *Engine) note(r Rotation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unkept[r.OldName()] = r
}

// keep writes a rotation, durable on return, and with it an entry into the review log
// where act isn't empty. Nothing has changed when it fails.
func (e *Engine) keep(ctx context.Context, r Rotation, act, actor string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var entry *spool.LogEntry
	if act != "" {
		entry = &spool.LogEntry{
			Time: e.o.Now(), Action: spool.ActionRotate, Actor: cmp.Or(actor, "rotation"),
			Where: r.OldName(), After: string(r.State), Reason: act,
		}
	}
	if err := e.o.Notes.KeepNote(ctx, spool.Note{Kind: noteKind, Name: r.OldName(), Data: data}, entry); err != nil {
		return fmt.Errorf("keep the rotation of %s: %w", r.OldName(), err)
	}
	e.mu.Lock()
	e.book = e.book.with(&r)
	delete(e.unkept, r.OldName())
	e.mu.Unlock()
	if act != "" {
		e.o.Log.InfoContext(ctx, "rotation: "+act, e.attrs(r)...)
	}
	return nil
}

func (e *Engine) attrs(r Rotation) []any {
	return []any{"domain", r.Domain, "old", r.Old.Selector, "new", r.New.Selector, "state", r.State}
}

// move keeps a new state, and has the gateway sign by it where that differs.
func (e *Engine) move(ctx context.Context, r Rotation, act, actor string, signs bool) error {
	r.Problem, r.Publisher, r.Seen, r.Foreign, r.Servers = "", Published{}, nil, nil, nil
	if err := e.keep(ctx, r, act, actor); err != nil {
		return err
	}
	e.o.CrashPoint("rotate-kept")
	e.soon(r.OldName())
	if signs {
		e.apply(ctx)
		e.o.CrashPoint("rotate-applied")
	}
	return nil
}

// apply has the gateway sign as the book says, now or at a later turn.
func (e *Engine) apply(ctx context.Context) {
	err := e.o.Apply(ctx)
	e.mu.Lock()
	again := e.behind
	e.behind = err != nil
	e.mu.Unlock()
	if err != nil && !again {
		e.o.Log.ErrorContext(ctx, "rotation: the keys that sign stay as they were; it is tried again", "error", err)
	}
}

func (e *Engine) isBehind() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.behind
}

// soon has a rotation looked at by the next turn.
func (e *Engine) soon(name string) {
	e.mu.Lock()
	delete(e.next, name)
	e.mu.Unlock()
	e.awake()
}

// awake has Run make a turn now.
func (e *Engine) awake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
