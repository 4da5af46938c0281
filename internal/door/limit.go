package door

import (
	"context"
	"net/netip"
)

// enter takes a place for a connection; false if there is none.
func (d *Door) enter() bool {
	if d.slots == nil {
		return true
	}
	select {
	case d.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// wait takes a place as soon as there is one; false when ctx ended first.
func (d *Door) wait(ctx context.Context) bool {
	d.warn("connection limit reached, new connections wait", "limit", d.o.Limit)
	select {
	case d.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *Door) leave() {
	if d.slots != nil {
		<-d.slots
	}
}

// Enter counts a connection of a client, whom the session may know better than the
// socket does. It returns false if the client has PerClient already; otherwise
// leave must be called at the end of the session.
func (d *Door) Enter(client netip.Addr) (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	who := household(client)
	if d.o.PerClient > 0 && d.clients[who] >= d.o.PerClient {
		d.warn("connection turned away", "client", client, "why", "too many connections of one client")
		return nil, false
	}
	d.clients[who]++
	return func() { d.leaveClient(who) }, true
}

func (d *Door) leaveClient(who netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clients[who]--; d.clients[who] <= 0 {
		delete(d.clients, who)
	}
}

// household is what counts as one client: an IPv4 address, an IPv6 /64.
func household(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // without an address: the zero prefix
	return p
}
