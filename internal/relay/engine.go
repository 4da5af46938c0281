package relay

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"mailgate/internal/mail"
)

const (
	// lease is how long claimed recipients are kept from other workers. It must
	// outlast the longest transaction, lest a message is sent twice.
	lease = 40 * time.Minute
	// leaseMargin is what is left of a lease when its transaction is given up.
	leaseMargin = time.Minute
	// claimSize is how many messages are claimed at once.
	claimSize = 20
	// maxSleep bounds how long the engine takes to notice that the clock was set.
	maxSleep = time.Minute
	// faultSleep is the time between two looks at a queue that fails.
	faultSleep = 5 * time.Second
	// busySleep is the time between two looks at a queue that has more due than the
	// limits let through. Workers that end look at it anyway.
	busySleep = time.Second
	// reinEvery is the time between two looks for tries that are too far away.
	reinEvery = time.Hour
	// maxLooks bounds how often a round asks for more destinations when those it is
	// given all go to next hops that are busy. Once in busySleep a round may ask until
	// it has seen all.
	maxLooks = 10
)

// Engine delivers what is queued: it claims recipients by destination, sends to
// their mail servers, and settles what came of it. Run it once. Its methods may be
// called by several goroutines at once.
//
// What it remembers of destinations (how often connecting failed) and of predictions
// is lost when it stops; the queue and refusals (Distrusted) are not.
type Engine struct {
	o      Options
	log    *slog.Logger
	kick   chan struct{}
	work   sync.WaitGroup
	lanes  lanes
	parked parked
	fault  fault
	// reined is when the queue was last looked through for tries too far away.
	reined time.Time
	// thorough is when a round last looked at all destinations. Only dispatch has it.
	thorough time.Time
	looped   loopWarned

	deciding deciding
	distrust distrust
	expected expected
}

// New returns an Engine. It does nothing before Run.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Local == nil {
		o.Local = localAddresses
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	if o.CrashPoint == nil {
		o.CrashPoint = func(string) {}
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	e := &Engine{o: o, log: o.Logger, kick: make(chan struct{}, 1)}
	e.expected.since = o.Now()
	return e
}

func (e *Engine) settings() Settings { return e.o.Settings().complete() }

// Kick has the engine look at the queue now: something was put into it.
func (e *Engine) Kick() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Queued has the engine look at the queue, into which mail for d was put, unless d has
// all the workers it may have: the one that ends first looks at it.
func (e *Engine) Queued(d mail.Domain) {
	if !e.lanes.full(d, e.settings()) {
		e.Kick()
	}
}

// Run delivers until ctx is done, then lets what is under way come to its end for
// as long as Settings.Drain, and breaks off the rest: it is tried again at the next
// start. It returns nil.
func (e *Engine) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	e.loop(ctx, work)
	e.drain(abort)
	return nil
}

func (e *Engine) loop(ctx, work context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.kick:
		case <-timer.C:
		}
		timer.Reset(e.round(ctx, work))
	}
}

// round starts workers for what is due, and says after how long to look again.
func (e *Engine) round(ctx, work context.Context) time.Duration {
	if wait := e.fault.left(); wait > 0 {
		return wait
	}
	e.rein(ctx)
	if err := e.dispatch(ctx, work); err != nil {
		if ctx.Err() == nil {
			e.log.ErrorContext(ctx, "the relay can't look at its queue", "error", err)
		}
		return faultSleep
	}
	next, err := e.o.Queue.NextDue(ctx)
	switch wait := next.Sub(e.o.Now()); {
	case err != nil:
		return faultSleep
	case next.IsZero() || wait > maxSleep:
		return maxSleep
	default:
		return max(wait, busySleep)
	}
}

// rein has nothing wait for a time that was set while the clock was ahead, beyond what
// the settings make of any try. It looks at the start and once an hour.
func (e *Engine) rein(ctx context.Context) {
	if !e.reined.IsZero() && time.Since(e.reined) < reinEvery {
		return
	}
	e.reined = time.Now()
	now := e.o.Now()
	n, err := e.o.Queue.Rein(ctx, now, now.Add(max(e.settings().LastRetry*11/10, 2*lastPause)))
	switch {
	case err != nil && ctx.Err() == nil:
		e.log.ErrorContext(ctx, "the relay can't look for tries that are too far away", "error", err)
	case n > 0:
		e.log.WarnContext(ctx, "tries were further away than any should be, as after a clock that was ahead: they are brought forward", "recipients", n)
	}
}

// dispatch starts a worker for each destination that is due, as far as the limits
// allow.
func (e *Engine) dispatch(ctx, work context.Context) error {
	s := e.settings()
	var skip []mail.Domain
	most := e.looks(time.Now())
	for look := range most {
		free := s.Connections - e.lanes.running()
		if free <= 0 {
			return nil
		}
		if look >= maxLooks { // twice as many each time, so that all are read twice, about
			free = max(free, len(skip))
		}
		due, err := e.o.Queue.Due(ctx, e.o.Now(), append(e.lanes.busy(s), skip...), free)
		if len(due) == 0 || err != nil {
			return err
		}
		if e.fault.left() > 0 { // of a worker that found it since the round began
			return nil
		}
		for _, d := range due {
			lane, ok := e.lanes.enter(d, s.routeFor(d).key(d), s)
			if !ok {
				skip = append(skip, d)
				continue
			}
			e.work.Go(func() {
				defer e.Kick()
				defer e.lanes.leave(d, lane)
				if err := e.serve(work, d, lane); err != nil && e.fault.begin() {
					e.log.ErrorContext(work, "the relay can't claim mail", "domain", d, "error", err)
				}
			})
		}
	}
	return nil
}

// looks is how often a round may ask for destinations. Rounds are as frequent as
// workers end; looking through all that waits for a busy next hop isn't for each.
func (e *Engine) looks(now time.Time) int {
	if now.Sub(e.thorough) < busySleep {
		return maxLooks
	}
	e.thorough = now
	return math.MaxInt
}

// drain waits for the workers, and no longer than it may.
func (e *Engine) drain(abort context.CancelFunc) {
	late := time.AfterFunc(e.settings().Drain, abort)
	defer late.Stop()
	e.work.Wait()
	e.parked.closeAll()
}
