package smtpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/emersion/go-smtp"
	"github.com/pires/go-proxyproto"

	"mailgate/internal/door"
)

// session serves one connection and closes it.
func (s *Server) session(ctx context.Context, c *conn) {
	defer c.shut()
	if err := c.identify(); err != nil {
		s.Metrics.failed("proxy")
		c.log.Warn("smtpd: connection given up", "error", err)
		return
	}
	leave, ok := s.door.Enter(c.client)
	if !ok {
		s.Metrics.failed("busy")
		if c.listener.TLS != TLSImplicit {
			c.say(421, "4.7.0", string(s.Name)+" too many connections from your address, try again later")
		}
		return
	}
	defer leave()
	s.Metrics.sessionBegan()
	defer s.Metrics.sessionEnded()
	c.ctx = ctx
	err := s.converse(c)
	c.ended(err)
}

// identify finds out who the client is, when a balancer stands before it.
func (c *conn) identify() error {
	p, ok := c.Conn.(*proxyproto.Conn)
	if !ok {
		return nil
	}
	h := p.ProxyHeader()
	if h == nil {
		return errors.New("no PROXY header, or a bad one, from a balancer")
	}
	if h.Command.IsLocal() {
		c.client = netip.Addr{} // the balancer looks whether we are there
		return nil
	}
	source, _, ok := h.TCPAddrs()
	if !ok {
		return errors.New("PROXY header without TCP addresses")
	}
	c.client = addressOf(source)
	c.log = c.log.With("client", c.client.String())
	return nil
}

// converse has the library hold one conversation, and another one over TLS if
// STARTTLS ended the first: nothing of it is left then.
func (s *Server) converse(c *conn) error {
	if c.listener.TLS == TLSImplicit {
		if err := c.secure(); err != nil {
			return err
		}
	}
	for {
		s.library(c)
		if !c.upward {
			return c.err
		}
		if err := c.secure(); err != nil {
			return err
		}
		c.mute = true // there is one greeting only
	}
}

// library runs a server of the library for this connection alone, and returns when
// all of its goroutines have ended.
func (s *Server) library(c *conn) {
	c.done = make(chan struct{})
	server := smtp.NewServer(smtp.BackendFunc(func(sc *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c, smtp: sc}, nil
	}))
	server.Domain = string(s.Name)
	server.MaxLineLength = 0 // conn sees to it
	server.EnableDSN = true
	server.EnableSMTPUTF8 = true
	server.AllowInsecureAuth = c.tls != nil
	if c.tls == nil && c.listener.offersTLS() {
		server.TLSConfig = c.listener.Config // it says STARTTLS, and never sees it
	}
	server.ErrorLog = libraryLog{c.log}
	server.Serve(door.Single(c, c.done)) // returns io.EOF when c.done is closed
	server.Shutdown(context.Background())
}

// ended logs, in one line, a session that didn't end as it should.
func (c *conn) ended(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, door.ErrDraining), errors.Is(err, os.ErrDeadlineExceeded):
		c.log.Debug("smtpd: connection closed", "error", err)
	default:
		c.server.Metrics.failed("connection")
		c.log.Info("smtpd: connection given up", "error", err)
	}
}

// libraryLog takes what the library has to say: panics outside of our own code.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.log.Error("smtpd: library", "format", format, "values", v)
}
func (l libraryLog) Println(v ...any) { l.log.Error("smtpd: library", "values", v) }

// addressOf is the IP address in a, without zone; invalid if there is none.
func addressOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// In returns a function that trusts the clients of some networks, with all rights.
func In(networks []netip.Prefix) func(netip.Addr) (Rights, bool) {
	return func(a netip.Addr) (Rights, bool) { return Rights{}, within(networks, a) }
}
