package preflight

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/dnsview"
)

// spfHost is what DNS says of the addresses of one name.
type spfHost struct {
	addresses          []netip.Addr
	four               []netip.Addr
	void4, void6       bool // none, for who asks for IPv4, and for who asks for both
	unknown4, unknown6 bool
}

// host asks for the addresses of a name; AAAA only where an egress address is IPv6,
// as spfResolver does.
func (b *spfReader) host(name string) spfHost {
	name = canonicalName(name)
	if h, known := b.hosts[name]; known {
		return h
	}
	var h spfHost
	if !isAskable(name) {
		h.void4, h.void6 = true, true
		return h
	}
	a := b.q.recursive(b.ctx, name, "A")
	h.four = parsed(a)
	h.addresses, h.void4, h.unknown4 = h.four, isNegative(a), isUnknown(a)
	h.unknown6 = h.unknown4
	if !h.unknown4 && slices.ContainsFunc(b.q.id.Egress, netip.Addr.Is6) {
		six := b.q.recursive(b.ctx, name, "AAAA")
		h.addresses = slices.Concat(h.addresses, parsed(six))
		h.void6, h.unknown6 = h.void4 && isNegative(six), isUnknown(six)
	}
	b.hosts[name] = h
	return h
}

func parsed(a dnsview.Answer) []netip.Addr {
	var all []netip.Addr
	for _, r := range a.Records {
		if address, err := netip.ParseAddr(r.Text); err == nil {
			all = append(all, address.Unmap())
		}
	}
	return all
}

func (w *spfWalk) isVoid(h spfHost) bool {
	if w.address.Is6() {
		return h.void6
	}
	return h.void4
}

func (w *spfWalk) isOpen(h spfHost) bool {
	if w.address.Is6() {
		return h.unknown6
	}
	return h.unknown4
}

// hosts evaluates a, mx and exists (RFC 7208 sections 5.3, 5.4 and 5.7).
func (w *spfWalk) hosts(n *SPFNode, t *SPFTerm) (bool, SPFResult) {
	domain, lengths, _ := strings.Cut(strings.TrimPrefix(t.parsed.argument, ":"), "/")
	name, ok := w.expand(n, t, domain)
	if !ok || !w.count() {
		return false, SPFPermError
	}
	name = canonicalName(name)
	if t.parsed.name == "mx" {
		return w.mx(t, name, lengths)
	}
	h := w.host(name)
	if w.isVoid(h) && !w.void() {
		return false, SPFPermError
	}
	if w.isOpen(h) {
		t.Unknown, w.atLeast = true, true
		return false, SPFTempError
	}
	if t.parsed.name == "exists" {
		t.show(h.four)
		return len(h.four) > 0, ""
	}
	t.show(h.addresses)
	return w.within(h.addresses, lengths), ""
}

func (w *spfWalk) mx(t *SPFTerm, name, lengths string) (bool, SPFResult) {
	a := dnsview.Answer{Status: dnsview.NXDomain}
	if isAskable(name) {
		a = w.mail(name)
	}
	if isNegative(a) && !w.void() {
		return false, SPFPermError
	}
	if isUnknown(a) {
		t.Unknown, w.atLeast = true, true
		return false, SPFTempError
	}
	if len(a.Records) > 10 {
		return false, SPFPermError
	}
	var all []netip.Addr
	for _, r := range a.Records {
		h := w.host(r.Text)
		if w.isOpen(h) {
			t.Unknown, w.atLeast = true, true
			return false, SPFTempError
		}
		all = append(all, h.addresses...)
	}
	t.show(all)
	return w.within(all, lengths), ""
}

// mail asks for the MX records of a name.
func (b *spfReader) mail(name string) dnsview.Answer { return b.q.recursive(b.ctx, name, "MX") }

// show lists what a term stands for.
func (t *SPFTerm) show(addresses []netip.Addr) {
	for _, a := range addresses {
		if text := a.String(); !slices.Contains(t.Found, text) && len(t.Found) < maxFound {
			t.Found = append(t.Found, text)
		}
	}
}

// within reports whether the address is in a network of one of the addresses.
func (w *spfWalk) within(addresses []netip.Addr, lengths string) bool {
	four, six, _ := strings.Cut("/"+lengths, "//")
	bits4, err4 := strconv.Atoi(strings.TrimPrefix(four, "/"))
	bits6, err6 := strconv.Atoi(six)
	for _, a := range addresses {
		bits := a.BitLen()
		if a.Is4() && err4 == nil {
			bits = bits4
		}
		if a.Is6() && err6 == nil {
			bits = bits6
		}
		if network, err := a.Prefix(bits); err == nil && w.address.IsValid() && network.Contains(w.address) {
			return true
		}
	}
	return false
}

// ptr evaluates the abandoned ptr (RFC 7208 section 5.5): no fault of the reverse
// zone counts against the domain.
func (w *spfWalk) ptr(n *SPFNode, t *SPFTerm) (bool, SPFResult) {
	under, ok := w.expand(n, t, strings.TrimPrefix(t.parsed.argument, ":"))
	if !ok || !w.count() {
		return false, SPFPermError
	}
	if !w.address.IsValid() {
		return false, ""
	}
	if !w.named {
		w.named = true
		a := w.q.recursive(w.ctx, dnsview.ReverseName(w.address), "PTR")
		if isNegative(a) && !w.void() {
			return false, SPFPermError
		}
		for _, name := range a.Texts()[:min(len(a.Records), maxPTRNames)] {
			if slices.Contains(w.host(name).addresses, w.address) {
				w.names = append(w.names, canonicalName(name))
			}
		}
	}
	under = canonicalName(under)
	return slices.ContainsFunc(w.names, func(name string) bool { return name == under || strings.HasSuffix(name, "."+under) }), ""
}
