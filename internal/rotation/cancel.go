package rotation

import (
	"context"
	"fmt"
	"strings"
)

// Cancel ends the rotations that an order is about with the old key signing on, or
// again. After the switch that takes that the old key is visible at every name server.
func (e *Engine) Cancel(ctx context.Context, o Order) ([]Rotation, error) {
	e.working.Lock()
	defer e.working.Unlock()
	e.forget(ctx)
	keys, err := e.ordered(o)
	if err != nil {
		return nil, err
	}
	var list []Rotation
	for _, k := range keys {
		r, ok := e.underWay(o.Domain, k, true)
		if !ok {
			continue
		}
		if err := e.cancel(ctx, &r, o.By); err != nil {
			return list, fmt.Errorf("cancel the rotation of %s: %w", r.OldName(), err)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no key of %s is being replaced", ErrNone, o.Domain)
	}
	return list, nil
}

func (e *Engine) cancel(ctx context.Context, r *Rotation, by string) error {
	act, switched := "cancelled: the old key signs on", r.State.Switched()
	switch r.State {
	case Signing:
		if !e.names(r) {
			return fmt.Errorf("%w: the configuration doesn't name the old key %s any more: put it back in, reload, and cancel again", ErrNoKey, r.Old.Selector)
		}
		if err := e.canGoBack(ctx, r); err != nil {
			return err
		}
		act = "cancelled: the old key signs again"
	case Revoking:
		if len(r.Foreign) > 0 {
			r.State, r.Ended = Done, e.o.Now()
			return e.move(ctx, *r, "ended: what is at "+r.OldName()+" is not the old key, and is left", by, false)
		}
		return fmt.Errorf("%w: the old key is being revoked; begin another rotation when this one has ended", ErrTooLate)
	}
	r.State, r.Ended = Cancelled, e.o.Now()
	return e.move(ctx, *r, act, by, switched)
}

// names reports whether a configured key leads to the old one.
func (e *Engine) names(r *Rotation) bool {
	for _, k := range e.o.Site().Keys {
		if _, old := e.Book().follow(k.Domain, k.Use); k.Domain == r.Domain && strings.EqualFold(old.Selector, r.Old.Selector) {
			return true
		}
	}
	return false
}

// canGoBack makes sure of the old key as of a new one.
func (e *Engine) canGoBack(ctx context.Context, r *Rotation) error {
	record, err := recordOf(r.Old.File)
	if err != nil {
		return err
	}
	switch s := lookFor(ctx, e.o.DNS(), r.OldName(), record); {
	case s.missing():
		return fmt.Errorf("the old key: %w: it is gone from %s", ErrInvisible, lacking(s))
	case !s.everywhere():
		return fmt.Errorf("the old key: %w: %s", ErrUnsure, unseen(s))
	}
	return nil
}
