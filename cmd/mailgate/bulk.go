package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/quarantine"
	"mailgate/internal/web"
)

// bulk does something to messages, one request for each.
type bulk struct {
	client   *client
	verb     verb
	order    web.Review
	dryRun   bool
	all      bool // the guard word was given
	several  bool // more than one message was asked for
	spare    bool // what is held by hand is left out
	spared   int  // recipients so left out
	json     bool
	out, err io.Writer
	progress *progress

	mu       sync.Mutex
	sum      tally
	unheard  int   // releases in a row that the next server gave no answer to
	stopping error // why the rest is left
}

// tooOften is how many releases in a row may go without an answer of the next server
// before the rest is left alone: it would fare no better.
const tooOften = 3

var errNextServer = fmt.Errorf("the next server gave no answer for the last %d messages: the rest is left", tooOften)

// run acts on the targets. When ctx ends it finishes what is in hand and says how
// far it got; a second Ctrl-C ends the program at once.
func (b *bulk) run(ctx context.Context, targets []target) error {
	defer context.AfterFunc(ctx, func() {
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		b.progress.insist(func() string { return "finishing what is in hand; Ctrl-C again ends at once" })
	})()
	b.sum = tally{Messages: len(targets), Left: len(targets), DryRun: b.dryRun, stays: b.verb.in}
	group := errgroup.Group{}
	group.SetLimit(b.atOnce())
	for _, t := range targets {
		if ctx.Err() != nil || b.stopped() != nil {
			break
		}
		group.Go(func() error {
			if ctx.Err() != nil || b.stopped() != nil {
				return nil
			}
			b.one(ctx, t)
			return nil
		})
	}
	_ = group.Wait()
	return b.finish(ctx)
}

// atOnce is how many requests are in flight. Releases go one after the other, the
// oldest first.
func (b *bulk) atOnce() int {
	if b.verb.done != resultReleased && !b.dryRun {
		return 8
	}
	return 1
}

func (b *bulk) one(ctx context.Context, t target) {
	o, err := b.act(ctx, t)
	if errors.Is(err, context.Canceled) {
		return // interrupted while it waited: nothing was done
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.stopping = err
		return
	}
	b.sum.add(o.Result)
	if b.unheard++; !o.noAnswer {
		b.unheard = 0
	}
	if b.unheard >= tooOften {
		b.stopping = coded(exitFail, errNextServer)
	}
	b.show(o)
}

func (b *bulk) stopped() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopping
}

// act moves one message; a request under way is not broken off by ctx. Where the
// release rate has no room it waits.
func (b *bulk) act(ctx context.Context, t target) (outcome, error) {
	if b.dryRun {
		return b.foretell(t), nil
	}
	order := b.order
	order.Recipients = t.to
	for {
		o, err := b.verb.post(context.WithoutCancel(ctx), b.client, t.id, order)
		var no *refusal
		if !errors.As(err, &no) || no.problem.Kind != web.KindPaced {
			if rest := b.rest(ctx, t.id, order.Recipients, no); len(rest) > 0 {
				order.Recipients = rest
				continue
			}
			return outcomeOf(o, err)
		}
		far := b.far()
		b.progress.insist(func() string { return far + ", waiting: release rate" })
		select {
		case <-ctx.Done():
			return outcome{}, context.Canceled
		case <-time.After(time.Duration(no.problem.RetryAfter * float64(time.Second))):
		}
	}
}

// rest are those recipients of a refused order that it is still about, where others of
// them were moved meanwhile. Whoever named a message himself is told instead.
func (b *bulk) rest(ctx context.Context, id string, to []string, no *refusal) []string {
	if no == nil || no.problem.Kind != web.KindMoved || !b.all || len(to) < 2 {
		return nil
	}
	var d quarantine.Detail
	if err := b.client.get(context.WithoutCancel(ctx), "/v1/quarantine/"+url.PathEscape(id), nil, &d); err != nil {
		return nil
	}
	left := b.meant(d.Message, false, to)
	if len(left) == len(to) {
		return nil // it can't be carried out for another reason
	}
	return left
}

// show prints an outcome: each in JSON, in a dry run and where messages were named;
// with the guard word only what didn't go well.
func (b *bulk) show(o outcome) {
	if b.json {
		e := json.NewEncoder(b.out)
		e.SetEscapeHTML(false)
		_ = e.Encode(o)
		return
	}
	if !b.several && !b.dryRun && o.Result != b.verb.done {
		b.stopping = coded(b.sum.code(true), errors.New(o.Error))
		return
	}
	if !b.all || b.dryRun || o.Result != b.verb.done {
		b.progress.clear()
		fmt.Fprintln(b.out, o.line())
	}
	if b.sum.Left > 0 { // the sum says the rest
		b.progress.say(b.farUnlocked)
	}
}

// far says how far it is.
func (b *bulk) far() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.farUnlocked()
}

func (b *bulk) farUnlocked() string {
	return fmt.Sprintf("%s of %s: %s", thousands(b.sum.Messages-b.sum.Left), thousands(b.sum.Messages), b.sum.words())
}

// finish says the sum and returns the error with the exit code.
func (b *bulk) finish(ctx context.Context) error {
	b.progress.clear()
	b.sum.Stopped = ctx.Err() != nil && b.sum.Left > 0
	switch {
	case b.json && b.several:
		_ = json.NewEncoder(b.out).Encode(struct {
			Sum tally `json:"sum"`
		}{b.sum})
	case !b.json && b.sum.Stopped:
		fmt.Fprintln(b.err, "interrupted:", b.sum.words())
	case !b.json && b.several:
		fmt.Fprintln(b.out, b.sumLine())
	}
	if b.stopping != nil {
		return b.stopping
	}
	if code := b.sum.code(!b.all); code != exitPass {
		return coded(code, nil)
	}
	return nil
}

func (b *bulk) sumLine() string {
	if b.sum.Messages == 0 {
		return "no message is selected"
	}
	line := count(b.sum.Messages, "message", "messages") + ": " + b.sum.words()
	if b.dryRun {
		line += ". Nothing was changed."
	}
	return line
}
