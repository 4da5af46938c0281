package dnstest

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"github.com/miekg/dns"
)

// Memory is DNS servers without sockets. In a bubble of testing/synctest a question
// times out where nobody answers, and nowhere else, however slow the machine is.
type Memory struct{ servers map[netip.AddrPort]*Server }

// InMemory makes one server on each IP address, all on port 53, that only Memory.Dial
// reaches.
func InMemory(hosts ...string) (*Memory, []*Server) {
	m := &Memory{map[netip.AddrPort]*Server{}}
	var servers []*Server
	for _, host := range hosts {
		s := newServer(netip.AddrPortFrom(netip.MustParseAddr(host), 53))
		m.servers[s.addr] = s
		servers = append(servers, s)
	}
	return m, servers
}

// Dial connects to a server, as the Dialer of package net does. Where there is none,
// or no more, the connection is refused.
func (m *Memory) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	fault := func(err error) error { return &net.OpError{Op: "dial", Net: network, Err: err} }
	if err := ctx.Err(); err != nil {
		return nil, fault(err)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fault(err)
	}
	s := m.servers[at]
	if s == nil {
		return nil, fault(syscall.ECONNREFUSED)
	}
	client, server := net.Pipe()
	serve := s.serveStream
	if network == "udp" {
		serve = s.servePackets
	}
	if !s.take(server, serve) {
		client.Close()
		return nil, fault(syscall.ECONNREFUSED)
	}
	return client, nil
}

// servePackets takes each write of the other side for a packet, as over UDP.
func (s *Server) servePackets(c net.Conn) {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if r := s.reply(append([]byte(nil), buf[:n]...), "udp"); r != nil {
			if _, err := c.Write(r.bytes); err != nil {
				return
			}
		}
	}
}
