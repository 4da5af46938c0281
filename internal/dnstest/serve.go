package dnstest

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

func (s *Server) serveUDP() {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			select {
			case <-s.done:
				return
			default:
				continue // an ICMP error of an earlier reply
			}
		}
		packet := append([]byte(nil), buf[:n]...)
		s.wg.Go(func() {
			if r := s.reply(packet, "udp"); r != nil {
				s.udp.WriteTo(r.bytes, from)
			}
		})
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		if !s.take(c, s.serveStream) {
			return
		}
	}
}

// take serves a connection until it ends, and reports false when the server was
// closed before.
func (s *Server) take(c net.Conn, serve func(net.Conn)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		c.Close()
		return false
	default:
	}
	s.conns[c] = true
	s.wg.Go(func() {
		defer s.untrack(c)
		serve(c)
	})
	return true
}

func (s *Server) serveStream(c net.Conn) {
	for s.serveConn(c) {
	}
}

// serveConn answers one question and reports whether the connection goes on.
func (s *Server) serveConn(c net.Conn) bool {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return false
	}
	packet := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, packet); err != nil {
		return false
	}
	r := s.reply(packet, "tcp")
	if r == nil {
		<-s.done // a server that never answers keeps the connection open
		return false
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(r.bytes)))
	framed = append(framed, r.bytes...)
	if r.half {
		c.Write(framed[:len(framed)/2])
		return false
	}
	_, err := c.Write(framed)
	return err == nil
}

func (s *Server) untrack(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	c.Close()
}

// reply is what goes out on the wire; half sends only the first half over TCP.
type reply struct {
	bytes []byte
	half  bool
}

// reply returns nil where the server says nothing.
func (s *Server) reply(packet []byte, network string) *reply {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil || q.Response || len(q.Question) != 1 {
		return nil
	}
	fault, delay := s.record(q, network)
	if delay > 0 && !s.wait(delay) {
		return nil
	}
	m := s.answer(q)
	return fault.apply(q, m, network)
}

// record notes the question and returns what was ordered for its name.
func (s *Server) record(q *dns.Msg, network string) (Fault, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := canonical(q.Question[0].Name)
	s.queries = append(s.queries, Query{
		Name:      display(name),
		Type:      dns.TypeToString[q.Question[0].Qtype],
		Net:       network,
		Recursive: q.RecursionDesired,
	})
	fault, ok := s.faults[name]
	if !ok {
		fault = s.faults[everyName]
	}
	delay, ok := s.delays[name]
	if !ok {
		delay = s.delays[everyName]
	}
	return fault, delay
}

// wait reports false when the server was closed meanwhile.
func (s *Server) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}
