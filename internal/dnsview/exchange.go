package dnsview

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize      = 1232 // EDNS0 payload that isn't fragmented (DNS flag day 2020)
	maxExchanges = 256  // sockets open at once
)

// asker sends one question to one server.
type asker struct {
	timeout time.Duration
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	sent    atomic.Uint64
	slots   chan struct{}
}

func newAsker(o Options) *asker {
	return &asker{timeout: o.Timeout, dial: o.Dial, slots: make(chan struct{}, maxExchanges)}
}

// ask tries once: over UDP, again without EDNS where the server doesn't know it
// (RFC 6891, section 7), and over TCP where the reply is truncated (RFC 7766).
// With recursion it sets RD, and AD to learn whether the answer was validated
// (RFC 6840, section 5.7).
func (a *asker) ask(ctx context.Context, addr string, q question, recursion bool) (*dns.Msg, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	query := new(dns.Msg)
	query.SetQuestion(q.name, q.qtype)
	query.RecursionDesired = recursion
	query.AuthenticatedData = recursion
	query.SetEdns0(udpSize, false)
	m, err := a.once(ctx, "udp", addr, query, q)
	if err == nil && ednsUnknown(m) {
		query.Extra = nil
		m, err = a.once(ctx, "udp", addr, query, q)
	}
	if err == nil && m.Truncated {
		m, err = a.once(ctx, "tcp", addr, query, q)
	}
	return m, err
}

func ednsUnknown(m *dns.Msg) bool {
	return m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeBadVers
}

// once sends one packet under a fresh id, from a fresh port, and waits for the
// reply to it.
func (a *asker) once(ctx context.Context, network, addr string, query *dns.Msg, q question) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	query.Id = dns.Id()
	packet, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack the question %s %s: %w", q.name, q.typeText(), err)
	}
	c, err := a.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	a.sent.Add(1)
	if network == "tcp" {
		return exchangeTCP(c, packet, query.Id, q)
	}
	return exchangeUDP(c, packet, query.Id, q)
}

// exchangeUDP passes over packets that aren't the reply: anybody may send one
// (RFC 5452, section 4).
func exchangeUDP(c net.Conn, packet []byte, id uint16, q question) (*dns.Msg, error) {
	if _, err := c.Write(packet); err != nil {
		return nil, err
	}
	var ignored error
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, errors.Join(err, ignored)
		}
		m, err := parseReply(buf[:n], id, q)
		if err == nil {
			return m, nil
		}
		ignored = err
	}
}

func exchangeTCP(c net.Conn, packet []byte, id uint16, q question) (*dns.Msg, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(packet)))
	if _, err := c.Write(append(framed, packet...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, reply); err != nil {
		return nil, err
	}
	m, err := parseReply(reply, id, q)
	if err == nil && m.Truncated {
		return nil, errMalformed // TC means nothing over TCP
	}
	return m, err
}

// describe names a network fault in plain words.
func describe(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errMalformed) && timedOut(err):
		return "timeout (malformed replies were ignored)"
	case errors.Is(err, errMismatched) && timedOut(err):
		return "timeout (replies to other questions were ignored)"
	case timedOut(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, errMalformed):
		return errMalformed.Error()
	case errors.Is(err, errMismatched):
		return errMismatched.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "reply cut short"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no route"
	}
	return err.Error()
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &n) && n.Timeout()
}
