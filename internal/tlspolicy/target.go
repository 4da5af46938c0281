package tlspolicy

import (
	"strings"

	"mailgate/internal/mail"
)

// targetKind is what an override's destination is compared with.
type targetKind int

const (
	domainTarget  targetKind = iota // the recipient domain
	parentTarget                    // a parent of the recipient domain
	nextHopTarget                   // the next hop
	mxTarget                        // one MX host
	mxUnderTarget                   // every MX host under a domain
)

// target is an override's destination, parsed.
type target struct {
	kind targetKind
	name string // domain, or the next hop in normal form
}

func (t target) ofMX() bool { return t.kind == mxTarget || t.kind == mxUnderTarget }

func parseTarget(s string) (target, error) {
	if host, ok := strings.CutPrefix(s, "mx:"); ok {
		if parent, ok := strings.CutPrefix(host, "*."); ok {
			return domainTo(mxUnderTarget, parent)
		}
		return domainTo(mxTarget, host)
	}
	if parent, ok := strings.CutPrefix(s, "."); ok {
		return domainTo(parentTarget, parent)
	}
	d, err := ParseNextHop(s)
	if d.Domain != "" {
		return target{domainTarget, string(d.Domain)}, err
	}
	return target{nextHopTarget, d.NextHop}, err
}

func domainTo(kind targetKind, s string) (target, error) {
	d, err := mail.ParseDomain(s)
	return target{kind, string(d)}, err
}

// String is the destination in its normal form.
func (t target) String() string {
	return map[targetKind]string{parentTarget: ".", mxTarget: "mx:", mxUnderTarget: "mx:*."}[t.kind] + t.name
}

// targets yields what overrides a destination could have, in the order in which
// the first one found wins.
func (d Destination) targets(yield func(target) bool) {
	if d.Domain != "" && (!yield(target{domainTarget, string(d.Domain)}) || !parents(parentTarget, d.Domain, yield)) {
		return
	}
	if d.NextHop != "" && !yield(target{nextHopTarget, d.NextHop}) {
		return
	}
	for _, host := range d.MX {
		if !yield(target{mxTarget, string(host)}) {
			return
		}
	}
	for _, host := range d.MX {
		if !parents(mxUnderTarget, host, yield) {
			return
		}
	}
}

// covering yields a pattern, or an MX host, and the patterns that cover it, in the
// order of targets.
func (t target) covering(yield func(target) bool) {
	kind := t.kind
	if kind == mxTarget {
		kind = mxUnderTarget
	}
	if yield(t) {
		parents(kind, mail.Domain(t.name), yield)
	}
}

// parents yields the parents of d, nearest first.
func parents(kind targetKind, d mail.Domain, yield func(target) bool) bool {
	for p := d.Parent(); p != ""; p = p.Parent() {
		if !yield(target{kind, string(p)}) {
			return false
		}
	}
	return true
}
