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

// targets lists what overrides a destination could have, in the order in which
// the first one found wins.
func (d Destination) targets() []target {
	var all []target
	if d.Domain != "" {
		all = append(all, target{domainTarget, string(d.Domain)})
		all = appendParents(all, parentTarget, d.Domain)
	}
	if d.NextHop != "" {
		all = append(all, target{nextHopTarget, d.NextHop})
	}
	for _, host := range d.MX {
		all = append(all, target{mxTarget, string(host)})
	}
	for _, host := range d.MX {
		all = appendParents(all, mxUnderTarget, host)
	}
	return all
}

// appendParents adds the parents of d, nearest first.
func appendParents(all []target, kind targetKind, d mail.Domain) []target {
	for p := d.Parent(); p != ""; p = p.Parent() {
		all = append(all, target{kind, string(p)})
	}
	return all
}
