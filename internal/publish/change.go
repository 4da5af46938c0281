package publish

import (
	"errors"
	"slices"
	"time"
)

// Errors that Plan and Apply wrap.
var (
	// ErrLogin: the host doesn't let the account in, or not to this zone.
	ErrLogin = errors.New("the DNS host refuses the login")
	// ErrZone: the account has no such zone, or may not write it.
	ErrZone = errors.New("no such zone in this account")
	// ErrChanged: what is at the name isn't what it was thought to be. Nothing was
	// written there; a new Plan shows what it is now.
	ErrChanged = errors.New("the records were changed by somebody else")
	// ErrCannot: the host can't have the record, whoever asks.
	ErrCannot = errors.New("the record can't be published there")
)

// Want is a record that should be at the host.
type Want struct {
	Name     string        // absolute, with or without the final dot
	Type     string        // "TXT"
	Value    string        // as one text, however long; empty: only take Replaces away
	Replaces []string      // values at the name that must go; those not there are no fault
	TTL      time.Duration // 0: an hour
}

// Changes is what differs from what is wanted, by name; nothing else is written.
type Changes struct {
	Zone string   `json:"zone"`
	Sets []Change `json:"sets"`
}

// Empty reports whether there is nothing to do.
func (c Changes) Empty() bool { return len(c.Sets) == 0 }

// Change is what is done to the records of one name and type.
type Change struct {
	Name    string        `json:"name"` // absolute, lower case, without the final dot
	Type    string        `json:"type"`
	Add     []string      `json:"add"`
	Remove  []string      `json:"remove"`
	Keep    []string      `json:"keep"`              // others' values at the name, which stay
	Missing []string      `json:"missing,omitempty"` // that should go, and that the host doesn't have
	TTL     time.Duration `json:"ttl_ns"`

	was []value // when the change was planned
}

// value is one TXT record as a host has it.
type value struct {
	text string
	ttl  time.Duration
	id   string // of the record, where the host has one
	raw  string // as the host spells it, where that differs from text
}

// going are the records that Remove means: several may have one text.
func (c Change) going() []value {
	return slices.DeleteFunc(slices.Clone(c.was), func(v value) bool { return !slices.Contains(c.Remove, v.text) })
}

// staying are the other ones that were there.
func (c Change) staying() []value {
	return slices.DeleteFunc(slices.Clone(c.was), func(v value) bool { return slices.Contains(c.Remove, v.text) })
}
