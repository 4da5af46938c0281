package quarantine

import (
	"context"
	"sync"
	"time"

	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// Run does what the quarantine has to do by itself, until ctx ends.
func (q *Quarantine) Run(ctx context.Context) error {
	started := make(chan struct{})
	var duties sync.WaitGroup
	duties.Go(func() { q.recheckDue(ctx, sync.OnceFunc(func() { close(started) })) })
	duties.Go(func() {
		// What was mended while we were stopped leaves before anything is too old.
		select {
		case <-started:
			q.keepHouse(ctx)
		case <-ctx.Done():
		}
	})
	duties.Wait()
	return nil
}

// housePace is the longest time between two rounds of keepHouse. It doesn't grow
// with Policy.Recheck: how often DNS is asked says nothing of when a sender is told.
const housePace = 30 * time.Second

// keepHouse does what doesn't depend on DNS, until ctx ends.
func (q *Quarantine) keepHouse(ctx context.Context) {
	for ctx.Err() == nil {
		q.notices(ctx)
		q.expire(ctx)
		q.digest(ctx)
		q.retain(ctx)
		select {
		case <-ctx.Done():
		case <-q.tidy:
		case <-time.After(min(housePace, q.o.Policy().recheck())):
		}
	}
}

// Reloaded tells of a new configuration: a fault in the way out may be mended, and
// what is held may pass now, or be too old. Run looks at everything soon.
func (q *Quarantine) Reloaded() {
	q.patience.forgetAll()
	q.mailing.forget()
	for _, wake := range []chan struct{}{q.kick, q.tidy} {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// groupsFor is how long a list of what is held serves, at most.
const groupsFor = time.Second

// recheckDue checks each identity when its turn comes, until ctx ends. It calls
// started when all that was held at the start has been checked.
func (q *Quarantine) recheckDue(ctx context.Context, started func()) {
	var checks sync.WaitGroup
	defer checks.Wait()
	ended := make(chan struct{}, identitiesAside)
	free := identitiesAside
	var read, round time.Time // when what is held was read last, and the round began
	start := true
	for ctx.Err() == nil {
		least := q.o.Policy().recheck()
		if now := q.o.Now(); now.Sub(read) >= min(groupsFor, least) {
			start = !q.readGroups(ctx, now, least, start) && start
			read = now
		}
		// Shorter than the time between two checks of one identity, each of which
		// finds what is published by then.
		if now := q.o.Now(); now.Sub(round) >= least/2 {
			round = now
		}
		turn := preflight.Round(ctx, round)
		for _, id := range q.schedule.ready(q.o.Now(), free) {
			free--
			checks.Go(func() {
				q.checkTurn(turn, id)
				ended <- struct{}{}
			})
		}
		if !start && q.schedule.started() {
			started()
		}
		nap := least
		if free > 0 {
			nap = q.schedule.wait(q.o.Now(), least)
		}
		select {
		case <-ctx.Done():
		case <-time.After(nap):
		case <-ended:
			free++
		case <-q.kick:
			round = time.Time{}
			q.schedule.allDue(q.o.Now())
		}
	}
}

// readGroups takes over what is held into the schedule, and reports whether it
// could.
func (q *Quarantine) readGroups(ctx context.Context, now time.Time, least time.Duration, start bool) bool {
	groups, err := q.store.HeldGroups(ctx)
	if err != nil {
		if ctx.Err() == nil {
			q.o.Logger.Error("re-check: list held identities", "error", err)
		}
		return false
	}
	q.known.keep(groups)
	groups, _ = groupsByDNS(groups)
	q.schedule.update(groups, now, least, start)
	return true
}

// checkTurn checks an identity whose turn has come; ctx is that of the round.
func (q *Quarantine) checkTurn(ctx context.Context, id identity) {
	groups, afresh := q.schedule.take(id, q.o.Now())
	defer q.schedule.end(id)
	err := q.check(ctx, id, groups, afresh, &sum{})
	if err != nil && ctx.Err() == nil && !isEnd(err) {
		q.o.Logger.Error("re-check", "domain", string(id.from), "error", err)
	}
}

// turnAfter says when an identity is due again.
func (q *Quarantine) turnAfter(groups []spool.Group, afresh bool, left map[spool.GroupKey]bool) after {
	now, policy := q.o.Now(), q.o.Policy()
	var a after
	if len(left) > 0 {
		a.left = left
		a.room = now.Add(pause(policy.ReleaseRate))
	}
	if afresh {
		a.due = now.Add(interval(now.Sub(oldest(groups, now)), policy.recheck()))
	}
	return a
}
