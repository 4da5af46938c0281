package tlspolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Table holds the overrides. It doesn't change and is safe for concurrent use.
type Table struct {
	now      func() time.Time
	all      []Override
	byTarget map[target]*Override // not changed
	mx       bool                 // some are for MX hosts
}

// ErrNoDestination is returned by Lookup for a Destination that names nothing.
var ErrNoDestination = errors.New("no destination to look up a TLS policy for")

// NewTable checks the overrides. A destination that cannot be read or is named
// twice, and settings that contradict each other, are errors. The clock now
// decides which overrides have expired; nil is time.Now.
func NewTable(overrides []Override, now func() time.Time) (*Table, error) {
	if now == nil {
		now = time.Now
	}
	t := &Table{now: now, byTarget: make(map[target]*Override, len(overrides))}
	for _, o := range overrides {
		if err := t.add(o); err != nil {
			return nil, fmt.Errorf("TLS override for %q: %w", o.Destination, err)
		}
	}
	return t, nil
}

func (t *Table) add(o Override) error {
	target, err := parseTarget(o.Destination)
	if err != nil {
		return err
	}
	if err := o.validate(target); err != nil {
		return err
	}
	if _, ok := t.byTarget[target]; ok {
		return errors.New("named twice")
	}
	o.Destination = target.String()
	t.put(target, o)
	return nil
}

func (t *Table) put(target target, o Override) {
	t.all = append(t.all, o)
	t.byTarget[target] = &o
	t.mx = t.mx || target.ofMX()
}

// Overrides returns all overrides, expired ones too, in the order given and with
// their destinations in normal form.
func (t *Table) Overrides() []Override { return slices.Clone(t.all) }

// Lookup returns the policy for a destination by the overrides alone: nothing is
// demanded. Where MX hosts are known, an override for one of them is enough. The
// error is ErrNoDestination.
func (t *Table) Lookup(_ context.Context, d Destination) (Policy, error) {
	if d.Domain == "" && d.NextHop == "" {
		return Policy{}, ErrNoDestination
	}
	return find(d.targets, t.now(), t).over(d, defaultPolicy(), false), nil
}

// at returns the override of a target that has not ended, or nil.
func (t *Table) at(target target, now time.Time) *Override {
	if t == nil || len(t.byTarget) == 0 {
		return nil
	}
	o := t.byTarget[target]
	if o == nil || o.Expired(now) {
		return nil
	}
	return o
}

// forMX reports whether some overrides are for MX hosts.
func (t *Table) forMX() bool { return t != nil && t.mx }

// securesMX reports whether one of these that has not ended wants TLS.
func (t *Table) securesMX(now time.Time) bool {
	if !t.forMX() {
		return false
	}
	for target, o := range t.byTarget {
		if target.ofMX() && o.Level.Mandatory() && !o.Expired(now) {
			return true
		}
	}
	return false
}

func defaultPolicy() Policy { return Policy{Level: May, Source: FromDefault} }
