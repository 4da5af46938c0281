package tlspolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// Errors of SetOverride and RemoveOverride that callers decide on.
var (
	ErrNoOverride = errors.New("no such override")
	ErrConfigured = errors.New("the override is in the configuration")
	ErrRefused    = errors.New("refused")
)

// EndsSoon is how long before its end an override is announced.
const EndsSoon = week

// Overrides returns those in force: the ones made at run time, then those of the
// configuration. Of two for one destination the first holds.
func (p *Policies) Overrides() []Override {
	now := p.now()
	var all []Override
	for _, t := range []*Table{p.runtime.Load(), p.o.Table()} {
		if t == nil {
			continue
		}
		for _, o := range t.all {
			if !o.Expired(now) {
				all = append(all, o)
			}
		}
	}
	return all
}

// Expiring returns the overrides that end within that time, the soonest first.
func (p *Policies) Expiring(within time.Duration) []Override {
	end := p.now().Add(within)
	all := slices.DeleteFunc(p.Overrides(), func(o Override) bool { return o.Expires.IsZero() || o.Expires.After(end) })
	slices.SortStableFunc(all, func(a, b Override) int { return a.Expires.Compare(b.Expires) })
	return all
}

// SetOverride puts an override in place of the one made for its destination at run
// time, writes the review log, and returns the policy of the destination before and
// after. It refuses, with ErrRefused, to go below what DANE or MTA-STS demand
// without reason and end; and level none for a receiver that refuses mail without
// TLS, unless anyway.
func (p *Policies) SetOverride(ctx context.Context, o Override, actor string, anyway bool) (before, after Policy, err error) {
	now := p.now()
	o.RunTime, o.Actor, o.Since, o.Anyway = true, actor, now, anyway
	target, err := parseTarget(o.Destination)
	if err == nil {
		o.Destination = target.String()
		err = o.validate(target)
	}
	if err == nil && o.Expired(now) {
		err = fmt.Errorf("it would have ended at %s", o.Expires.Format(time.RFC3339))
	}
	if err == nil {
		err = p.allowed(ctx, o, target)
	}
	if err != nil {
		return before, after, fmt.Errorf("TLS override for %q: %w", o.Destination, err)
	}
	before = p.seen(ctx, target)
	if err := p.set(ctx, o); err != nil {
		return before, before, fmt.Errorf("TLS override for %q: %w", o.Destination, err)
	}
	return before, p.seen(ctx, target), nil
}

// set keeps the override before it is used.
func (p *Policies) set(ctx context.Context, o Override) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	if p.o.Memory != nil {
		data, err := json.Marshal(o)
		if err == nil {
			note := Note{Kind: KindOverride, Name: o.Destination, Data: data} // until forgetEnded has told of its end
			err = p.o.Memory.Keep(ctx, note, &Act{Actor: o.Actor, Reason: o.Reason})
		}
		if err != nil {
			return fmt.Errorf("keep it: %w", err)
		}
	}
	p.changeTable(func(all []Override) []Override { return append(without(all, o.Destination), o) })
	return nil
}

// allowed asks DNS what the destination demands.
func (p *Policies) allowed(ctx context.Context, o Override, t target) error {
	d, ok := t.example()
	if !ok {
		return nil
	}
	if o.Level == None && !o.Anyway && p.receivedByGoogle(ctx, d) {
		return fmt.Errorf("%w: %w (to do it anyway, say so)", ErrRefused, errNoneToGoogle)
	}
	if o.excused() || o.harmless() {
		return nil
	}
	demanded, err := p.Demanded(ctx, d)
	if err != nil {
		return fmt.Errorf("%w: DNS doesn't tell now what is demanded, so give a reason and an end: %w", ErrRefused, err)
	}
	if weaker := o.below(demanded); weaker != "" {
		return fmt.Errorf("%w: it asks for %s: give a reason and an end", ErrRefused, weaker)
	}
	return nil
}

// receivedByGoogle tells from the MX hosts. What DNS doesn't tell isn't so.
func (p *Policies) receivedByGoogle(ctx context.Context, d Destination) bool {
	if d.Domain == "" {
		return false
	}
	a := p.view().DNS.Recursive(ctx, string(d.Domain), "MX")
	return a.Status == dnsview.Found && slices.ContainsFunc(mxHosts(a), atGoogle)
}

// example is a destination that the target stands for, false where that could be
// many.
func (t target) example() (Destination, bool) {
	switch t.kind {
	case domainTarget:
		return Destination{Domain: mail.Domain(t.name)}, true
	case nextHopTarget:
		return Destination{NextHop: t.name}, true
	}
	return Destination{}, false
}

// seen is the policy of a target, as far as it can be told: of a pattern, that of
// the overrides alone.
func (p *Policies) seen(ctx context.Context, t target) Policy {
	if d, ok := t.example(); ok {
		policy, err := p.Lookup(ctx, d)
		if err != nil {
			return Policy{Reason: err.Error()}
		}
		return policy
	}
	return find(t.covering, p.now(), p.runtime.Load(), p.o.Table()).over(Destination{Domain: mail.Domain(t.name)}, defaultPolicy(), false)
}

// RemoveOverride removes one made at run time and writes the review log. The error
// is ErrNoOverride or ErrConfigured where there is none to remove.
func (p *Policies) RemoveOverride(ctx context.Context, destination, actor, reason string) error {
	target, err := parseTarget(destination)
	if err != nil {
		return fmt.Errorf("TLS override for %q: %w", destination, err)
	}
	if err := p.remove(ctx, target, Act{Actor: actor, Reason: reason}, func(Override) bool { return true }); err != nil {
		return fmt.Errorf("remove TLS override for %s: %w", target, err)
	}
	return nil
}

// remove removes the override of a target if it is still the one meant.
func (p *Policies) remove(ctx context.Context, t target, by Act, meant func(Override) bool) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	o, ok := p.runtime.Load().byTarget[t]
	if ok && !meant(*o) {
		return ErrNoOverride
	}
	if !ok {
		if configured := p.o.Table(); configured != nil {
			if _, ok := configured.byTarget[t]; ok {
				return fmt.Errorf("%w: remove its [[tls]] there and reload", ErrConfigured)
			}
		}
		return ErrNoOverride
	}
	if p.o.Memory != nil {
		if err := p.o.Memory.Forget(ctx, KindOverride, o.Destination, &by); err != nil {
			return err
		}
	}
	p.changeTable(func(all []Override) []Override { return without(all, o.Destination) })
	return nil
}

func without(all []Override, destination string) []Override {
	return slices.DeleteFunc(all, func(o Override) bool { return o.Destination == destination })
}

// changeTable changes a copy: look-ups read without a lock.
func (p *Policies) changeTable(change func([]Override) []Override) {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.runtime.Store(newRuntimeTable(change(p.runtime.Load().Overrides()), p.o.Now))
}

// newRuntimeTable takes overrides that were checked when they were made, and sorts
// them by destination.
func newRuntimeTable(all []Override, now func() time.Time) *Table {
	slices.SortFunc(all, func(a, b Override) int { return strings.Compare(a.Destination, b.Destination) })
	t := &Table{now: now, byTarget: make(map[target]*Override, len(all))}
	for _, o := range all {
		if target, err := parseTarget(o.Destination); err == nil {
			t.put(target, o)
		}
	}
	return t
}

// recallOverrides fails where one can't be read: to go on without it might send mail
// less secured than an administrator wants.
func (p *Policies) recallOverrides(ctx context.Context) error {
	notes, err := p.o.Memory.Recall(ctx, KindOverride)
	if err != nil {
		return fmt.Errorf("recall TLS overrides: %w", err)
	}
	var all []Override
	for _, n := range notes {
		var o Override
		if err := json.Unmarshal(n.Data, &o); err != nil {
			return fmt.Errorf("recall TLS override for %s: %w", n.Name, err)
		}
		target, err := parseTarget(o.Destination)
		if err != nil {
			return fmt.Errorf("recall TLS override for %s: %w", n.Name, err)
		}
		if err := o.validate(target); err != nil { // another Go knows other ciphers
			p.log.WarnContext(ctx, "a TLS override isn't valid any more, and is in force as far as it can be: remove it, or make it anew",
				"destination", o.Destination, "error", err)
		}
		all = append(all, o)
	}
	p.runtime.Store(newRuntimeTable(all, p.o.Now))
	return nil
}

// tellRaised logs once that an override isn't in force.
func (p *Policies) tellRaised(ctx context.Context, policy Policy) {
	if policy.Raised == "" {
		return
	}
	if _, told := p.told.LoadOrStore("raised "+policy.Destination+" "+policy.Raised, true); !told {
		p.log.WarnContext(ctx, "a TLS override is not in force as it stands", "destination", policy.Destination, "why", policy.Raised)
	}
}
