package quarantine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// RecheckRequest says what to re-check. Zero: everything.
type RecheckRequest struct {
	IDs    []string // what is held from the same From and MAIL FROM domains as these messages
	Domain string   // what is held from this From domain
}

// Rechecked counts the held recipients that a re-check saw, and what it did. A
// message to two recipients counts twice.
type Rechecked struct {
	Identities int `json:"identities"` // pairs of From and MAIL FROM domain to check
	Done       int `json:"done"`       // of these, checked
	Recipients int `json:"recipients"` // held, of those checked
	Passing    int `json:"passing"`    // of these, would pass now
	Refused    int `json:"refused"`    // would be refused
	Foreign    int `json:"foreign"`    // have no key here
	Waiting    int `json:"waiting"`    // wait for DNS
	Released   int `json:"released"`   // of the passing, handed over; the rest goes as Policy allows
	Failed     int `json:"failed"`     // could not be handed over
	ByHand     int `json:"by_hand"`    // held by hand: not checked, a reviewer lets them go

	AutoRelease bool `json:"auto_release"` // what passes leaves by itself
}

// identitiesAside is how many identities are checked at the same time. A dead name
// server costs 5 s.
const identitiesAside = 8

// Recheck judges at once what is held, whenever its next check is due, and
// releases what passes now as Policy allows. DNS is asked afresh. Messages the next
// server didn't take are tried again without waiting. progress, unless nil, is
// called as it goes, by one goroutine at a time. ErrNotFound for an unknown ID.
func (q *Quarantine) Recheck(ctx context.Context, r RecheckRequest, progress func(Rechecked)) (Rechecked, error) {
	wanted, err := q.wanted(ctx, r)
	if err != nil {
		return Rechecked{}, err
	}
	groups, err := q.store.HeldGroups(ctx)
	if err != nil {
		return Rechecked{}, fmt.Errorf("list held identities: %w", err)
	}
	groups, byHand := groupsByDNS(wanted(groups))
	order, of := byIdentity(groups)
	ctx = preflight.Round(ctx, q.o.Now())
	s := &sum{}
	end := s.report(progress)
	defer end()
	s.add(func(r *Rechecked) {
		r.Identities, r.ByHand, r.AutoRelease = len(order), byHand, q.o.Policy().AutoRelease
	})
	var checks *errgroup.Group
	checks, ctx = errgroup.WithContext(ctx)
	checks.SetLimit(identitiesAside)
	for _, id := range order {
		checks.Go(func() error {
			q.patience.forget(id)
			err := q.check(ctx, id, of[id], true, s)
			if err == nil {
				s.add(func(r *Rechecked) { r.Done++ })
			}
			return err
		})
	}
	err = checks.Wait()
	return s.get(), err
}

// wanted returns what picks the groups that a request is about.
func (q *Quarantine) wanted(ctx context.Context, r RecheckRequest) (func([]spool.Group) []spool.Group, error) {
	switch {
	case len(r.IDs) > 0 && r.Domain != "":
		return nil, fmt.Errorf("re-check of messages and of a domain: %w: give one of them", ErrQuery)
	case len(r.IDs) > 0:
		from := map[identity]bool{}
		for _, id := range r.IDs {
			m, err := q.store.Get(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("message %s: %w", id, err)
			}
			from[identityOf(m)] = true
		}
		return pick(func(g spool.Group) bool { return from[identity{g.From, g.MailFrom}] }), nil
	case r.Domain != "":
		from, err := mail.ParseDomain(r.Domain)
		if err != nil {
			return nil, fmt.Errorf("domain %q: %w: %w", r.Domain, ErrQuery, err)
		}
		return pick(func(g spool.Group) bool { return g.From == from }), nil
	}
	return pick(func(spool.Group) bool { return true }), nil
}

func pick(want func(spool.Group) bool) func([]spool.Group) []spool.Group {
	return func(groups []spool.Group) []spool.Group {
		var picked []spool.Group
		for _, g := range groups {
			if want(g) {
				picked = append(picked, g)
			}
		}
		return picked
	}
}

// sum adds up what several checks do at the same time.
type sum struct {
	mu      sync.Mutex
	of      Rechecked
	changed chan struct{} // nil: nobody wants to know
}

func (s *sum) add(what func(*Rechecked)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what(&s.of)
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *sum) get() Rechecked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of
}

// report calls tell with the sum as it changes, until the function it returns is
// called. No check waits for tell: it may write to somebody who doesn't read.
func (s *sum) report(tell func(Rechecked)) (end func()) {
	if tell == nil {
		return func() {}
	}
	s.changed = make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range s.changed {
			tell(s.get())
		}
	}()
	return func() {
		close(s.changed)
		<-ended
	}
}

// isEnd reports whether an error ends a re-check as a whole.
func isEnd(err error) bool {
	return errors.Is(err, spool.ErrStopped) || errors.Is(err, ErrStopping)
}
