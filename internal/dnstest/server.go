// Package dnstest serves zones from text over UDP and TCP on loopback, for the
// demo and for tests. It answers as an authoritative server does (RFC 1034,
// section 4.3.2): wildcards, CNAME chains within its zones, DNAME, delegations,
// NXDOMAIN and NODATA with the SOA. It can play the recursive resolver of a
// small Internet made of its own zones and those of its peers, and it can be
// told to fail in the ways real servers do.
package dnstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one DNS server, listening over UDP and TCP on the same port. It is
// safe for concurrent use, also while it serves.
type Server struct {
	addr netip.AddrPort
	udp  net.PacketConn // nil: in memory
	tcp  net.Listener
	done chan struct{}
	wg   sync.WaitGroup

	mu        sync.Mutex
	conns     map[net.Conn]bool
	zones     map[string]*zone
	peers     []*Server
	recursive bool
	signed    map[string]bool
	faults    map[string]Fault
	delays    map[string]time.Duration
	queries   []Query

	changes atomic.Int64     // of zones, so far
	world   map[string]*zone // what visible returned last; never changed
	worldAt int64            // changes of all servers then
}

// Query is one question a server received.
type Query struct {
	Name      string // lower case, no final dot
	Type      string
	Net       string // "udp" or "tcp"
	Recursive bool   // RD was set
}

// Start listens on addr, an IP address and port; port 0 takes a free one that
// is then the same for UDP and TCP. A new server has no zones and answers
// REFUSED.
func Start(addr string) (*Server, error) {
	udp, tcp, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("start DNS server on %s: %w", addr, err)
	}
	s := newServer(udp.LocalAddr().(*net.UDPAddr).AddrPort())
	s.udp, s.tcp = udp, tcp
	s.wg.Go(s.serveUDP)
	s.wg.Go(s.serveTCP)
	return s, nil
}

func newServer(addr netip.AddrPort) *Server {
	return &Server{
		addr:   addr,
		done:   make(chan struct{}),
		conns:  map[net.Conn]bool{},
		zones:  map[string]*zone{},
		signed: map[string]bool{},
		faults: map[string]Fault{},
		delays: map[string]time.Duration{},
	}
}

// StartAll starts one server on each IP address, all on the same free port, as
// name servers of one Internet are.
func StartAll(hosts ...string) ([]*Server, error) {
	var err error
	for range 20 {
		var servers []*Server
		if servers, err = startAll(hosts); err == nil {
			return servers, nil
		}
	}
	return nil, err
}

func startAll(hosts []string) ([]*Server, error) {
	var servers []*Server
	port := "0"
	for _, host := range hosts {
		s, err := Start(net.JoinHostPort(host, port))
		if err != nil {
			for _, started := range servers {
				err = errors.Join(err, started.Close())
			}
			return nil, err
		}
		port = strconv.Itoa(s.Port())
		servers = append(servers, s)
	}
	return servers, nil
}

// listen opens both sockets. A free TCP port may be taken for UDP, so it tries
// a few.
func listen(addr string) (net.PacketConn, net.Listener, error) {
	var err error
	for range 20 {
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", addr); err != nil {
			return nil, nil, err
		}
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return udp, tcp, nil
		}
		tcp.Close()
	}
	return nil, nil, err
}

// Addr returns the address and port it listens on.
func (s *Server) Addr() string { return s.addr.String() }

// Port returns the port it listens on.
func (s *Server) Port() int { return int(s.addr.Port()) }

// Close stops the server and waits for what it had under way.
func (s *Server) Close() error {
	s.mu.Lock()
	select {
	case <-s.done:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.done)
	var err error
	if s.udp != nil {
		err = errors.Join(s.udp.Close(), s.tcp.Close())
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// Queries returns every question received so far, in order.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.queries...)
}

// Count returns how many questions were received so far.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queries)
}
