package preflight

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"mailgate/internal/dnsview"
)

// spfResolver is the DNS of one SPF evaluation. The domain's own record is taken
// from its name servers, all else from the resolvers, as receivers do. It counts
// as RFC 7208 section 4.6.4 does: terms that ask DNS, and those of them that got
// nothing.
type spfResolver struct {
	q    *inquiry
	own  string // the domain being checked
	ipv6 bool   // the address being checked is IPv6

	asked   []string // domains whose records were asked for
	again   string   // one of them that was asked for often, so it includes itself
	follow  []string // hosts whose addresses belong to the MX or PTR term before
	lookups int
	voids   int
	absent  string         // last domain that had no SPF record
	failed  dnsview.Answer // last answer that was unknown
}

// LookupTXT is called for the domain itself, then for include and redirect.
func (r *spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = canonicalName(name)
	ask := r.q.recursive
	if name == r.own {
		ask = r.q.published
	}
	if len(r.asked) > 0 {
		r.lookups++
	}
	r.noteAsked(name)
	if name == r.own && r.q.try != "" {
		return []string{r.q.try}, nil
	}
	a, err := r.ask(ctx, ask, name, "TXT")
	texts := a.Texts()
	if err == nil || isNegative(a) {
		r.noteAbsent(name, texts)
	}
	return texts, err
}

// noteAsked finds out whether a record includes itself: one that some others include
// is asked for some times, one that includes itself until the limit.
func (r *spfResolver) noteAsked(name string) {
	const often = 10
	r.asked = append(r.asked, name)
	times := 0
	for _, n := range r.asked {
		if n == name {
			times++
		}
	}
	if times >= often && r.again == "" {
		r.again = name
	}
}

func (r *spfResolver) noteAbsent(name string, texts []string) {
	for _, text := range texts {
		if isSPF(text) {
			return
		}
	}
	r.absent = name
}

// LookupMX serves mx terms; the addresses of the hosts are not counted.
func (r *spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	r.lookups++
	a, err := r.ask(ctx, r.q.recursive, canonicalName(name), "MX")
	r.countVoid(a)
	var mxs []*net.MX
	r.follow = nil
	for _, record := range a.Records {
		mxs = append(mxs, &net.MX{Host: record.Text, Pref: record.Preference})
		r.follow = append(r.follow, canonicalName(record.Text))
	}
	return mxs, err
}

// LookupAddr serves ptr terms.
func (r *spfResolver) LookupAddr(ctx context.Context, address string) ([]string, error) {
	r.lookups++
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil, notFound(address)
	}
	a, err := r.ask(ctx, r.q.recursive, dnsview.ReverseName(ip), "PTR")
	r.countVoid(a)
	r.follow = nil
	for _, name := range a.Texts() {
		r.follow = append(r.follow, canonicalName(name))
	}
	return a.Texts(), err
}

// LookupIPAddr serves a and exists terms, and the hosts of mx and ptr. AAAA is
// asked for only when an IPv6 address is checked; A always, because exists looks
// for nothing else (RFC 7208 section 5.7).
func (r *spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	host = canonicalName(host)
	counted := true
	if len(r.follow) > 0 && r.follow[0] == host {
		r.follow, counted = r.follow[1:], false
	}
	a, err := r.ask(ctx, r.q.recursive, host, "A")
	if r.ipv6 && (err == nil || isNegative(a)) {
		six, sixErr := r.ask(ctx, r.q.recursive, host, "AAAA")
		if a.Records = append(a.Records[:len(a.Records):len(a.Records)], six.Records...); !isNegative(six) {
			a.Status, err = six.Status, sixErr
		}
	}
	if counted {
		r.lookups++
		r.countVoid(a)
	}
	return ipAddrs(a), err
}

func ipAddrs(a dnsview.Answer) []net.IPAddr {
	var all []net.IPAddr
	for _, record := range a.Records {
		if ip := net.ParseIP(record.Text); ip != nil {
			all = append(all, net.IPAddr{IP: ip})
		}
	}
	return all
}

// ask turns an answer into what the SPF library takes: it looks at the fields of
// an unwrapped *net.DNSError, and takes any other error for a permanent one.
func (r *spfResolver) ask(ctx context.Context, view func(context.Context, string, string) dnsview.Answer, name, qtype string) (dnsview.Answer, error) {
	if !isAskable(name) {
		return dnsview.Answer{Name: name, Type: qtype, Status: dnsview.NXDomain}, notFound(name)
	}
	a := view(ctx, name, qtype)
	switch {
	case a.Status == dnsview.Found, a.Status == dnsview.NoData:
		return a, nil
	case a.Status == dnsview.NXDomain:
		return a, notFound(name)
	}
	a.Name, a.Type = name, qtype
	r.failed = a
	return a, &net.DNSError{Err: "no answer", Name: name, IsTimeout: true, IsTemporary: true}
}

func (r *spfResolver) countVoid(a dnsview.Answer) {
	if isNegative(a) && len(a.Records) == 0 {
		r.voids++
	}
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func canonicalName(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// isAskable reports whether name can be a question at all: macros make names
// that can't.
func isAskable(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}
