package preflight

import (
	"net/netip"
	"slices"
	"strings"
)

// spfWalk evaluates a tree for one address, as check_host() of RFC 7208 section 4
// does, on records that are known. With through set nothing matches, so that every
// term is met and counted.
type spfWalk struct {
	*spfReader
	address  netip.Addr
	most     int // lookups
	mostVoid int // void lookups; 0 with through: no limit
	through  bool

	lookups int
	voids   int
	over    bool // more lookups than allowed
	named   bool // a ptr term has looked the address's names up
	names   []string
	taken   []spfStep
}

// spfStep is a term on the way to where an address ends.
type spfStep struct {
	node *SPFNode
	term *SPFTerm
}

// check evaluates one record; above are the domains that led to it.
func (w *spfWalk) check(n *SPFNode, above []string) SPFResult {
	switch n.Status {
	case SPFNodeMissing:
		return SPFNone
	case SPFNodeSeveral:
		return SPFPermError
	case SPFNodeUnknown, SPFNodeNotFollowed:
		return SPFTempError
	case SPFNodeLoop:
		w.atLeast = true
		if !w.through {
			w.lookups, w.over = w.most, true
		}
		return SPFPermError
	}
	above = append(slices.Clip(above), n.Domain)
	for _, t := range n.inOrder() {
		if result, ended := w.term(n, t, above); ended {
			return result
		}
	}
	if len(n.Terms) == maxTreeTerms {
		return SPFTempError
	}
	return SPFNeutral
}

// term evaluates one term and reports whether evaluation of the record ends there.
func (w *spfWalk) term(n *SPFNode, t *SPFTerm, above []string) (SPFResult, bool) {
	lookups, voids, way := w.lookups, w.voids, len(w.taken)
	w.taken = append(w.taken, spfStep{n, t})
	result, ended := w.match(n, t, above)
	if w.through {
		t.Lookups, t.VoidLookups = max(t.Lookups, w.lookups-lookups), max(t.VoidLookups, w.voids-voids)
		ended = ended && t.parsed.name == "all"
	}
	if !ended {
		w.taken = w.taken[:way]
	}
	return result, ended
}

// match reports whether a term decides, and what.
func (w *spfWalk) match(n *SPFNode, t *SPFTerm, above []string) (SPFResult, bool) {
	if t.Error != "" {
		return SPFPermError, true
	}
	if t.parsed.modifier {
		if t.parsed.name == "redirect" {
			return w.redirect(n, t, above)
		}
		return "", false
	}
	var matched bool
	var failure SPFResult
	switch t.parsed.name {
	case "all":
		matched = true
	case "ip4", "ip6":
		network, err := t.parsed.network()
		matched = err == nil && w.address.IsValid() && network.Masked().Contains(w.address)
	case "include":
		matched, failure = w.include(n, t, above)
	case "a", "mx", "exists":
		matched, failure = w.hosts(n, t)
	case "ptr":
		matched, failure = w.ptr(n, t)
	}
	if failure != "" {
		return failure, true
	}
	return qualified(t.parsed.qualifier), matched
}

func qualified(qualifier byte) SPFResult {
	switch qualifier {
	case '-':
		return SPFFail
	case '~':
		return SPFSoftFail
	case '?':
		return SPFNeutral
	}
	return SPFPass
}

// count takes one lookup of those allowed.
func (w *spfWalk) count() bool {
	if w.lookups >= w.most {
		w.over = true
		w.atLeast = w.atLeast || w.through
		return false
	}
	w.lookups++
	return true
}

// void counts a lookup without an answer, and reports false beyond those allowed.
func (w *spfWalk) void() bool {
	w.voids++
	return w.through || w.voids <= w.mostVoid
}

// include is a match where the other record passes (RFC 7208 section 5.2).
func (w *spfWalk) include(n *SPFNode, t *SPFTerm, above []string) (bool, SPFResult) {
	switch result := w.follow(n, t, strings.TrimPrefix(t.parsed.argument, ":"), above); result {
	case SPFPass:
		return true, ""
	case SPFFail, SPFSoftFail, SPFNeutral:
		return false, ""
	case SPFTempError:
		return false, result
	default:
		return false, SPFPermError
	}
}

// redirect takes the other record's result for this one's (RFC 7208 section 6.1).
func (w *spfWalk) redirect(n *SPFNode, t *SPFTerm, above []string) (SPFResult, bool) {
	result := w.follow(n, t, t.parsed.argument, above)
	if result == SPFNone {
		result = SPFPermError
	}
	return result, true
}

// follow evaluates the record at another domain.
func (w *spfWalk) follow(n *SPFNode, t *SPFTerm, spec string, above []string) SPFResult {
	name, ok := w.expand(n, t, spec)
	if !ok {
		return SPFPermError
	}
	if !w.count() {
		return SPFPermError
	}
	name = canonicalName(name)
	next, known := t.nodes[name]
	if !known {
		if next = (&SPFNode{Domain: name, Status: SPFNodeLoop}); !slices.Contains(above, name) {
			next = w.node(name)
		}
		t.nodes[name] = next
		if t.Include == nil {
			t.Include = next
		}
	}
	return w.check(next, above)
}

// expand fills in the macros of a domain-spec. Without an address those that hang
// on it can't be, and the term is left out.
func (w *spfWalk) expand(n *SPFNode, t *SPFTerm, spec string) (string, bool) {
	if spec == "" && !t.parsed.modifier {
		spec = n.Domain
	}
	if spec == "" || strings.Contains(spec, "/") {
		return "", false
	}
	if !strings.Contains(spec, "%") {
		return spec, true
	}
	if !w.address.IsValid() {
		w.atLeast = true
		t.Unknown = true
		return "", false
	}
	return expandSPF(spec, n.Domain, w.own, string(w.q.id.Helo), w.address)
}
