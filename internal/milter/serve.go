package milter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"github.com/emersion/go-milter"
)

// serve holds one conversation. It returns when the connection is closed.
func (s *Server) serve(ctx context.Context, c *conn) {
	defer c.Close()
	log := s.Log.With("peer", peer(c))
	defer func() {
		if v := recover(); v != nil {
			s.Metrics.failed("panic")
			log.Error("milter: panic", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	o, err := c.negotiation()
	if err != nil {
		s.ended(log, err, false)
		return
	}
	s.Metrics.sessionBegan()
	defer s.Metrics.sessionEnded()

	session := newSession(ctx, s, c, agree(o), log)
	c.session = session
	defer session.end()
	library := &milter.Server{
		NewMilter: func() milter.Milter { return session },
		Actions:   session.options.actions,
		Protocol:  session.options.protocol,
		SymList:   wantedMacros(),
	}
	library.Serve(&oneConn{conn: c}) // returns io.EOF when c is closed
	s.ended(log, c.err, session.message != nil)
}

// ended logs, in one line, a conversation that didn't end as it should.
func (s *Server) ended(log *slog.Logger, err error, midMessage bool) {
	switch {
	case err == nil, errors.Is(err, errDraining), errors.Is(err, errQuitNew):
	case errors.Is(err, io.EOF) && !midMessage:
	case errors.Is(err, os.ErrDeadlineExceeded) && !midMessage:
		log.Debug("milter: idle connection closed", "error", err)
	case errors.Is(err, io.EOF):
		log.Info("milter: connection closed in the middle of a message")
	default:
		s.Metrics.failed("connection")
		log.Warn("milter: connection given up", "error", err, "mid_message", midMessage)
	}
}

// peer names the other end.
func peer(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return "unix"
}
