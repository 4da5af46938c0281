package socketmap

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"mailgate/internal/tlspolicy"
)

// appendPolicy answers for the TLS policy of a next hop, as Postfix names it:
// "example.net", "[mx.example.net]:587".
func (s *Server) appendPolicy(ctx context.Context, peer string, b []byte, key string, withReport bool) ([]byte, answer) {
	// Where there is nothing for mail.example.net, Postfix asks for .example.net and
	// .net. What overrides say of them was in the first answer already.
	if key == "" || key[0] == '.' {
		return append(b, "NOTFOUND "...), notFound
	}
	d, err := tlspolicy.ParseNextHop(key)
	if err != nil { // a socket's path, say: no policy can be about it
		return append(b, "NOTFOUND "...), notFound
	}
	p, err := s.lookup(ctx, d)
	switch {
	case errors.Is(err, tlspolicy.ErrUnsettled):
		s.Metrics.failed("unsettled")
		s.Log.Info("socketmap: mail has to wait", "peer", peer, "destination", key, "error", err)
		return appendPrintable(append(b, "TEMP "...), err.Error(), maxReason), temporary
	case err != nil:
		s.Metrics.failed("lookup")
		s.Log.Error("socketmap: no TLS policy", "peer", peer, "destination", key, "error", err)
		return append(b, "NOTFOUND "...), notFound
	case leaveToPostfix(p):
		return append(b, "NOTFOUND "...), notFound
	}
	return s.appendFound(b, p, d, withReport)
}

// maxReason is as much of a reason as Postfix logs.
const maxReason = 200

func (s *Server) lookup(ctx context.Context, d tlspolicy.Destination) (p tlspolicy.Policy, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Metrics.failed("panic")
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return s.Policies.Lookup(ctx, d)
}

// leaveToPostfix tells policies that demand nothing of anybody. An answer would put
// the level may in the place of main.cf's, which may be higher. So an answer needs a
// demand, or an administrator's word; what the relay learned of its own handshakes
// is neither.
func leaveToPostfix(p tlspolicy.Policy) bool {
	const o = tlspolicy.FromOverride
	byHand := p.Source == o || p.Origins.Versions == o || p.Origins.Ciphers == o || p.Origins.ServerName == o || p.Origins.MatchNames == o
	return p.Level == tlspolicy.May && !byHand
}

// appendFound adds the policy in the words of the Postfix that asks. Where the
// version isn't known, these are the older ones, which every version reads.
func (s *Server) appendFound(b []byte, p tlspolicy.Policy, d tlspolicy.Destination, withReport bool) ([]byte, answer) {
	v := s.Postfix()
	begin := len(b)
	b = append(b, "OK "...)
	if v.since(3, 6) {
		b = append(b, p.Postfix()...)
	} else {
		b = append(b, p.PostfixLegacy()...)
	}
	if len(b)-begin > maxReply {
		// Postfix would close the connection. The policy demands TLS, or it weren't
		// that long.
		return append(b[:begin], "TEMP the policy is too long"...), temporary
	}
	if v.since(3, 10) || withReport && !v.known() {
		plain := len(b)
		if b = appendSTS(b, p, string(d.Domain)); len(b)-begin > maxReply {
			b = b[:plain]
		}
	}
	return b, found
}
