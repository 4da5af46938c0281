package dnsview

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

const maxReferrals = 4

// publish builds the authoritative view of q.
func (r *Resolver) publish(ctx context.Context, q question) Answer {
	if r.options.At != "" {
		return r.publishedAt(ctx, q)
	}
	if r.options.NoAuthoritative {
		return r.fallback(ctx, q, Answer{}, "asking name servers directly is switched off")
	}
	short, cancel := context.WithTimeout(ctx, r.options.authorityTime())
	defer cancel()
	a := Answer{Status: Unknown}
	ttl, at := uint32(noTTL), q
	var chain []string
	for {
		v, why := r.askZone(short, at, &a)
		if why != "" {
			return r.fallback(ctx, q, a, why)
		}
		ttl = min(ttl, v.ttl)
		a.Disagree = a.Disagree || v.disagree
		if v.alias == "" {
			a.Status, a.Records, a.CNAMEs = v.status, v.records, displayAll(chain)
			return r.finish(q, a, ttl)
		}
		chain = append(chain, v.alias)
		if fault := chainFault(q.name, chain); fault != "" {
			a.Status, a.CNAMEs = faultStatus(fault), displayAll(chain)
			a.Observations[len(a.Observations)-1].Error = fault
			return r.finish(q, a, ttl)
		}
		at.name = v.alias
	}
}

// askZone asks every server of the zone that holds q.name, going down where
// they refer to a zone below. It adds to a what they said, and returns why none
// of it can be used, if so.
func (r *Resolver) askZone(ctx context.Context, q question, a *Answer) (verdict, string) {
	z := r.zone(ctx, q.name)
	a.Zone, a.NameServers = display(z.Apex), displayAll(z.NameServers)
	if z.Status != Found {
		a.Zone = ""
		a.Observations = append(a.Observations, z.Observations...)
		return verdict{}, "the zone of " + display(q.name) + " could not be found"
	}
	if r.outward.shut() {
		return verdict{}, "port 53 outward seems shut: no name server of any zone has answered lately"
	}
	apex, hosts := z.Apex, z.NameServers
	var given map[string][]string
	for range maxReferrals {
		replies := r.askAll(ctx, q, r.servers(ctx, hosts, given))
		below, next := referredTo(replies, apex, q.name)
		v := judge(replies, q)
		a.Observations = append(a.Observations, observations(replies)...)
		if v.good {
			r.outward.heard(apex, true)
			return v, ""
		}
		if below == "" {
			return v, r.giveUp(ctx, apex, replies)
		}
		apex, given = below, next
		hosts = slices.Sorted(maps.Keys(next))
		a.Zone, a.NameServers = display(apex), displayAll(hosts)
	}
	return verdict{}, "the referrals from " + display(z.Apex) + " lead nowhere"
}

// giveUp forgets the servers of a zone none of which answers for it, and says
// so.
func (r *Resolver) giveUp(ctx context.Context, apex string, replies []reply) string {
	r.delegations.forget(apex)
	var asked, heard int
	var said []string
	for _, rep := range replies {
		if rep.seen.Address != "" {
			asked++
		}
		if rep.msg != nil {
			heard++
		}
		said = append(said, rep.seen.Server+": "+rep.seen.brief())
	}
	zone, list := display(apex), strings.Join(said, "; ")
	switch {
	case len(replies) == 0:
		return "no name server of " + zone + " is known"
	case asked == 0:
		return fmt.Sprintf("the name servers of %s have no address (%s)", zone, list)
	case heard > 0:
		r.outward.heard(apex, true)
		return fmt.Sprintf("no name server of %s answers for it (%s)", zone, list)
	case ctx.Err() == nil:
		r.outward.heard(apex, false)
	}
	return fmt.Sprintf("port 53 outward seems shut, or the name servers of %s are down (%s)", zone, list)
}

// brief says what became of a question.
func (o Observation) brief() string {
	if o.Error == "" || o.Rcode != "" && o.Rcode != "NOERROR" {
		return o.Rcode
	}
	return o.Error
}

// fallback lets the recursive view stand in for the authoritative one, of which
// a holds what was learned.
func (r *Resolver) fallback(ctx context.Context, q question, a Answer, why string) Answer {
	out := r.answer(ctx, Recursive, q)
	out.Fallback = why
	out.Observations = slices.Concat(a.Observations, out.Observations)
	if a.Zone != "" {
		out.Zone, out.NameServers = a.Zone, a.NameServers
	}
	return out
}

// reply is one server's, msg being nil where there was none.
type reply struct {
	msg  *dns.Msg
	seen Observation
}

// askAll asks the servers side by side. Once one has answered well, the others
// are not asked again.
func (r *Resolver) askAll(ctx context.Context, q question, servers []server) []reply {
	var settled atomic.Bool
	again := func(timeouts int) bool { return !settled.Load() && r.retry(timeouts) }
	replies := make([]reply, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			if len(s.addrs) == 0 {
				replies[i].seen = r.observe(Authoritative, s, "", q)
				replies[i].seen.Error = "the name server has no address"
				return
			}
			m, o := r.askServer(ctx, Authoritative, s, q, again)
			replies[i] = reply{m, o}
			if m != nil && lameness(m) == "" {
				settled.Store(true)
			}
		})
	}
	wg.Wait()
	return replies
}

func observations(replies []reply) []Observation {
	out := make([]Observation, 0, len(replies))
	for _, rep := range replies {
		out = append(out, rep.seen)
	}
	return out
}

// referredTo returns the first zone below apex that a server refers to.
func referredTo(replies []reply, apex, name string) (string, map[string][]string) {
	for _, rep := range replies {
		if rep.msg == nil {
			continue
		}
		if below, servers := referral(rep.msg, apex, name); below != "" {
			return below, servers
		}
	}
	return "", nil
}
