package dnsview

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// askServer asks one server, over its addresses in turn, and after a time-out
// as long as again, given their number, says so. The reply is nil where there
// was none.
func (r *Resolver) askServer(ctx context.Context, view View, s server, q question, again func(timeouts int) bool) (*dns.Msg, Observation) {
	var o Observation
	refused := 0
	for try, timeouts := 0, 0; ; try++ {
		o = r.observe(view, s, s.addrs[try%len(s.addrs)], q)
		begun := time.Now()
		m, err := r.asker.ask(ctx, o.Address, q, view == Recursive)
		o.RTT = time.Since(begun)
		if err == nil {
			o.note(m)
			return m, o
		}
		o.Error = describe(err)
		if timedOut(err) {
			timeouts++
		} else {
			refused++
		}
		if ctx.Err() != nil || refused == len(s.addrs) || timeouts > 0 && !again(timeouts) {
			return nil, o
		}
	}
}

// retry tries again after a time-out as often as configured.
func (r *Resolver) retry(timeouts int) bool { return timeouts <= r.options.Retries }

func never(int) bool { return false }

func (r *Resolver) observe(view View, s server, addr string, q question) Observation {
	return Observation{
		View:    view,
		Server:  s.name,
		Address: addr,
		Name:    display(q.name),
		Type:    q.typeText(),
		When:    r.options.Now(),
	}
}

// note takes what every reply says, whatever it is worth.
func (o *Observation) note(m *dns.Msg) {
	o.Rcode = rcodeText(m.Rcode)
	o.AA = m.Authoritative
	o.AD = m.AuthenticatedData
	o.Error = explain(m)
}

// show takes the records a reply has for the question.
func (o *Observation) show(d digest) {
	o.Records = evidence(d.records)
	if len(d.records) == 0 && len(d.chain) > 0 {
		o.Records = []string{"CNAME " + display(d.chain[len(d.chain)-1])}
	}
	if d.ttl != noTTL {
		o.TTL = d.ttl
	}
	if d.fault != "" {
		o.Error = d.fault
	}
}

// askResolvers asks the recursive resolvers in turn, beginning with the one
// that answered last, until one knows. A resolver that said it doesn't know is
// not asked again. The reply is nil where none knows; there is one Observation
// for each resolver asked, the last being that of the reply.
func (r *Resolver) askResolvers(ctx context.Context, q question) (*dns.Msg, []Observation) {
	var observations []Observation
	n, first := len(r.options.Resolvers), int(r.preferred.Load())
	refused := make([]bool, n)
	seen := make([]Observation, n)
	for range r.options.Retries + 1 {
		for i := range n {
			at := (first + i) % n
			if refused[at] || ctx.Err() != nil {
				continue
			}
			addr := r.options.Resolvers[at]
			m, o := r.askServer(ctx, Recursive, server{name: addr, addrs: []string{addr}}, q, never)
			if m != nil && knows(m, q, &o) {
				r.preferred.Store(int32(at))
				return m, append(failures(seen, at), o)
			}
			refused[at] = m != nil
			seen[at] = o
		}
	}
	return nil, append(observations, failures(seen, -1)...)
}

// failures returns the observations made, without that at index except.
func failures(seen []Observation, except int) []Observation {
	var out []Observation
	for i, o := range seen {
		if i != except && o.View != "" {
			out = append(out, o)
		}
	}
	return out
}

// knows reports whether a resolver's reply settles the question.
func knows(m *dns.Msg, q question, o *Observation) bool {
	d := read(m, q)
	o.show(d)
	if d.fault == cnameLoop {
		return true // some say SERVFAIL with it
	}
	if d.status == NoData && !m.RecursionAvailable && (len(d.chain) > 0 || !m.Authoritative) {
		o.Error = "offers no recursion"
		return false
	}
	return d.status != Unknown
}

// resolve builds the recursive view of q.
func (r *Resolver) resolve(ctx context.Context, q question) Answer {
	m, observations := r.askResolvers(ctx, q)
	a := Answer{Status: Unknown, Observations: observations}
	if m == nil {
		return r.finish(q, a, noTTL)
	}
	d := read(m, q)
	a.Status, a.Records, a.Authentic = d.status, d.records, m.AuthenticatedData
	a.CNAMEs = displayAll(d.chain)
	_, owner, proof := authoritySOA(m)
	if proof {
		a.Zone = display(owner)
	}
	negative := d.status == NXDomain || d.status == NoData
	if negative && !proof && q != rootSOA && r.rootIsDenied(ctx) {
		a.Status = Unknown
		a.Observations[len(a.Observations)-1].Error = "this resolver denies even the root zone: it can't know"
	}
	return r.finish(q, a, d.ttl)
}

var rootSOA = question{".", dns.TypeSOA}

// rootIsDenied reports whether the resolvers know no root zone. One that is cut
// off from the Internet denies every name, and that is no news about the name. It
// matters only where a denial comes without the SOA that should go with it (RFC
// 2308, section 3).
func (r *Resolver) rootIsDenied(ctx context.Context) bool {
	root := r.remember(relax(ctx), r.cuts, ".", func(ctx context.Context) Zone { return r.findCut(ctx, ".") })
	return root.Status != Found
}

func displayAll(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, display(n))
	}
	return out
}
