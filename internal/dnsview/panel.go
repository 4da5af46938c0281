package dnsview

import (
	"context"
	"net"
)

// Panel returns what the panel's server says; false when none is configured. A
// server that isn't authoritative for the name gives Unknown: what it passes on
// from others is not the panel's. Aliases into zones the panel doesn't hold are
// followed by the recursive resolvers.
func (r *Resolver) Panel(ctx context.Context, name, qtype string) (Answer, bool) {
	if r.options.Panel == "" {
		return Answer{}, false
	}
	return r.lookup(ctx, Panel, name, qtype), true
}

// askPanel builds the panel's view of q.
func (r *Resolver) askPanel(ctx context.Context, q question) Answer {
	s := server{name: r.options.Panel, addrs: r.panelAddresses(ctx)}
	a := Answer{Status: Unknown}
	if len(s.addrs) == 0 {
		o := r.observe(Panel, s, "", q)
		o.Error = "the panel's name server has no address"
		a.Observations = []Observation{o}
		return r.finish(q, a, noTTL)
	}
	m, o := r.askServer(ctx, Panel, s, q, r.retry)
	if m == nil {
		a.Observations = []Observation{o}
		return r.finish(q, a, noTTL)
	}
	d := read(m, q)
	if fault := lameness(m); fault != "" && d.fault == "" {
		o.Error = fault
		a.Observations = []Observation{o}
		return r.finish(q, a, noTTL)
	}
	o.show(d)
	a.Status, a.Records, a.CNAMEs = d.status, d.records, displayAll(d.chain)
	a.Observations = []Observation{o}
	if _, owner, ok := authoritySOA(m); ok {
		a.Zone = display(owner)
	}
	if len(d.chain) > 0 && d.status != Found && d.fault == "" {
		return r.beyondPanel(ctx, q, d, a)
	}
	return r.finish(q, a, d.ttl)
}

// beyondPanel follows an alias out of the panel's zones.
func (r *Resolver) beyondPanel(ctx context.Context, q question, d digest, a Answer) Answer {
	target := r.answer(ctx, Recursive, question{d.chain[len(d.chain)-1], q.qtype})
	a.Status, a.Records = target.Status, target.Records
	a.CNAMEs = append(a.CNAMEs, target.CNAMEs...)
	a.Zone = target.Zone
	a.Observations = append(a.Observations, target.Observations...)
	return r.finish(q, a, d.ttl)
}

// panelAddresses reads the address of the configured server, or looks its name
// up.
func (r *Resolver) panelAddresses(ctx context.Context) []string {
	host, port, err := splitServer(r.options.Panel)
	if err != nil {
		return nil
	}
	if isAddress(host) {
		return []string{net.JoinHostPort(host, port)}
	}
	fqdn, _ := parseName(host)
	var out []string
	for _, a := range r.addressesOf(ctx, fqdn) {
		out = append(out, net.JoinHostPort(a, port))
	}
	return out[:min(len(out), 2)]
}
