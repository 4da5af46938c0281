package tlsreport

import (
	"context"
	"maps"
	"slices"
	"time"

	"mailgate/internal/mail"
)

const (
	keepEvery  = 3 * time.Minute
	lookEvery  = time.Minute
	firstRetry = 15 * time.Minute // it doubles (RFC 8460, section 5.5)
	lastRetry  = 4 * time.Hour
)

// turn is when a day's reports are sent.
type turn struct {
	at   time.Time
	wait time.Duration // before at, after a try in vain
}

// Run sends each day's reports once it is over, and keeps what is counted, until ctx
// ends. Flush afterwards keeps the rest.
func (r *Reports) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.every(ctx, keepEvery, func() {
			if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "TLS reports would be incomplete after a crash", "error", err)
			}
		})
	}()
	r.every(ctx, lookEvery, func() { r.look(ctx) })
	<-done
	return nil
}

func (r *Reports) every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// look sends what is due.
func (r *Reports) look(ctx context.Context) {
	for _, day := range r.due() {
		if !r.o.Now().Before(day.givenUp()) {
			r.giveUp(ctx, day)
			continue
		}
		if left := r.Send(ctx, day); left > 0 && ctx.Err() == nil {
			r.again(day)
		}
	}
	r.forgetMarks()
}

// due are the days whose reports are to be sent now.
func (r *Reports) due() []Day {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	var list []Day
	for _, day := range slices.Sorted(maps.Keys(r.books)) {
		t, known := r.turns[day]
		if !known {
			t.at = day.next().Add(r.o.Jitter())
			r.turns[day] = t
		}
		if !now.Before(t.at) {
			list = append(list, day)
		}
	}
	return list
}

func (r *Reports) again(day Day) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := max(min(2*r.turns[day].wait, lastRetry), firstRetry)
	r.turns[day] = turn{r.o.Now().Add(wait), wait}
}

func (r *Reports) giveUp(ctx context.Context, day Day) {
	for _, domain := range r.domains(day) {
		r.o.Metrics.Report("any", "given-up")
		r.log.WarnContext(ctx, "TLS report given up", "domain", domain, "day", day)
	}
	r.drop(ctx, day)
}

// forgetMarks lets go of marks whose notes have ended.
func (r *Reports) forgetMarks() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	maps.DeleteFunc(r.sent, func(day Day, _ map[mail.Domain]*mark) bool { return !now.Before(day.forgotten()) })
}
