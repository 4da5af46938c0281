package dnsview

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Resolver answers from memory where it may, asks once where many want to know,
// and refreshes what is in use before it expires. It is safe for concurrent use.
// Answers share memory: treat them as read-only.
type Resolver struct {
	options   Options
	asker     *asker
	life      *life
	outward   *outward
	routeIPv6 func() bool
	preferred atomic.Int32 // index of the resolver that answered last

	answers     *memo[Answer]
	cuts        *memo[Zone] // by name: Apex only
	delegations *memo[Zone] // by apex: NameServers too
	addresses   *memo[[]string]
}

// New checks the options; it asks nothing yet.
func New(o Options) (*Resolver, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("set up DNS: %w", err)
	}
	if o.Panel != "" {
		if _, _, err := splitServer(o.Panel); err != nil {
			return nil, fmt.Errorf("set up DNS: panel: %w", err)
		}
	}
	l := newLife()
	return &Resolver{
		options:     o,
		asker:       newAsker(o),
		life:        l,
		outward:     &outward{now: o.Now, logger: o.Logger},
		routeIPv6:   routeIPv6,
		answers:     newMemo[Answer](l, o),
		cuts:        newMemo[Zone](l, o),
		delegations: newMemo[Zone](l, o),
		addresses:   newMemo[[]string](l, o),
	}, nil
}

// Close ends background work; later look-ups are answered from memory or
// Unknown.
func (r *Resolver) Close() { r.life.end() }

// Queries returns how many packets were sent to DNS servers so far.
func (r *Resolver) Queries() uint64 { return r.asker.sent.Load() }

// Published returns what the name's own zone publishes: every authoritative
// server is asked, CNAMEs are followed into other zones. It takes
// Options.LookupTime at most, as all look-ups do.
//
// Servers that don't answer, or not for the zone, decide nothing as long as one
// does; where none does, the recursive view stands in and Fallback says why. A
// CNAME loop is NoData: nobody can follow it. A name that can't exist, such as
// one with a label of more than 63 octets, is NXDomain; the Observation says why.
func (r *Resolver) Published(ctx context.Context, name, qtype string) Answer {
	return r.lookup(ctx, Authoritative, name, qtype)
}

// Recursive returns what the recursive resolvers say.
func (r *Resolver) Recursive(ctx context.Context, name, qtype string) Answer {
	return r.lookup(ctx, Recursive, name, qtype)
}

// lookup answers the question as a caller puts it.
func (r *Resolver) lookup(ctx context.Context, view View, name, qtype string) Answer {
	code, known := typeCode(qtype)
	fqdn, problem := parseName(name)
	switch {
	case !known:
		return r.unasked(view, name, qtype, Unknown, "records of this type are not read")
	case problem != "":
		return r.unasked(view, name, qtype, NXDomain, problem)
	}
	a := r.answer(ctx, view, question{fqdn, code})
	a.Name = plain(name)
	return a
}

func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// unasked answers without asking anybody.
func (r *Resolver) unasked(view View, name, qtype string, status Status, why string) Answer {
	now := r.options.Now()
	name, qtype = plain(name), strings.ToUpper(qtype)
	return Answer{
		Name: name, Type: qtype, Status: status, Expires: now.Add(r.options.NegativeTTL),
		Observations: []Observation{{View: view, Name: name, Type: qtype, When: now, Error: why}},
	}
}

// answer looks up through memory.
func (r *Resolver) answer(ctx context.Context, view View, q question) Answer {
	key := string(view) + " " + q.typeText() + " " + q.name
	a, err := r.answers.get(ctx, key, func(ctx context.Context) outcome[Answer] {
		a := r.look(ctx, view, q)
		return outcome[Answer]{value: a, expires: a.Expires, unknown: a.Status == Unknown}
	})
	if err != nil {
		a := r.unasked(view, display(q.name), q.typeText(), Unknown, describe(err))
		a.Expires = r.options.Now().Add(r.options.UnknownTTL)
		return a
	}
	return a
}

func (r *Resolver) look(ctx context.Context, view View, q question) Answer {
	switch view {
	case Authoritative:
		return r.publish(ctx, q)
	case Panel:
		return r.askPanel(ctx, q)
	}
	return r.resolve(ctx, q)
}

// finish fills in what every answer has.
func (r *Resolver) finish(q question, a Answer, ttl uint32) Answer {
	a.Name, a.Type = display(q.name), q.typeText()
	a.Expires = r.options.Now().Add(r.lifetime(a, ttl))
	return a
}

// lifetime is short for bad news, so that a mended zone is seen at once.
func (r *Resolver) lifetime(a Answer, ttl uint32) time.Duration {
	o := r.options
	t := time.Duration(math.MaxInt64)
	if ttl != noTTL {
		t = time.Duration(ttl) * time.Second
	}
	switch {
	case a.Status == Unknown:
		return o.UnknownTTL
	case a.Status == Found && !a.Disagree:
		return min(max(t, o.MinTTL), o.MaxTTL)
	}
	return max(min(t, o.NegativeTTL), o.UnknownTTL)
}

func (r *Resolver) port() string { return strconv.Itoa(r.options.AuthorityPort) }
