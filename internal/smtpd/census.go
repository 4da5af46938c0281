package smtpd

import (
	"net/netip"
	"sync"
)

// census counts the sessions of all listeners.
type census struct {
	all, each int // limits

	mu      sync.Mutex
	total   int
	clients map[netip.Prefix]int
}

func newCensus(l Limits) *census {
	return &census{all: l.Sessions, each: l.SessionsPerClient, clients: make(map[netip.Prefix]int)}
}

// enter counts a session; false if there are too many.
func (c *census) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.all {
		return false
	}
	c.total++
	return true
}

func (c *census) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
}

// enterClient counts a session of a client; false if it has too many.
func (c *census) enterClient(a netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := household(a)
	if c.clients[p] >= c.each {
		return false
	}
	c.clients[p]++
	return true
}

func (c *census) leaveClient(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := household(a)
	if c.clients[p]--; c.clients[p] <= 0 {
		delete(c.clients, p)
	}
}

// household is what counts as one client: an IPv4 address, an IPv6 /64.
func household(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // without an address: the zero prefix
	return p
}
