package socketmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailgate/internal/door"
)

// answer is a kind of answer of a map, in the metrics.
type answer string

const (
	found     answer = "ok"
	notFound  answer = "notfound"
	temporary answer = "temp"
)

// session answers what is asked on one connection.
type session struct {
	*Server
	c    *door.Conn
	peer string
	in   *input

	out     []byte // answers that aren't sent yet
	payload []byte // of one answer; kept for its room
}

// maxUnsent is how much is sent at the latest, when a client asks without waiting
// for answers.
const maxUnsent = 16 << 10

func (s *Server) session(ctx context.Context, c *door.Conn) {
	s.Metrics.sessionBegan()
	defer s.Metrics.sessionEnded()
	x := &session{Server: s, c: c, peer: c.Peer(), in: newInput(c, s.Limits)}
	x.ended(x.converse(ctx))
}

// converse returns why it ended.
func (x *session) converse(ctx context.Context) error {
	if err := x.in.more(); err != nil {
		return err
	}
	step := x.step()
	for {
		size, err := step(ctx, x.in.data())
		if ctx.Err() != nil {
			return ctx.Err() // perhaps the answer is only due to that
		}
		if size > 0 {
			x.in.take(size)
			if len(x.out) < maxUnsent {
				continue
			}
		}
		if err := errors.Join(err, x.send()); err != nil {
			return err
		}
		if size == 0 {
			if err := x.in.more(); err != nil {
				return err
			}
		}
	}
}

// step returns what answers the first request in what came, and returns the length
// of that request: 0 with an error if it can't be read, and without if more of it
// has to come.
func (x *session) step() func(context.Context, []byte) (int, error) {
	if b := x.in.data(); len(b) > 0 && (b[0] >= 'a' && b[0] <= 'z' || b[0] >= 'A' && b[0] <= 'Z') {
		return x.answerDelegated
	}
	return x.answerNetstring
}

func (x *session) answerNetstring(ctx context.Context, b []byte) (int, error) {
	request, size, err := netstring(b, x.Limits.Request)
	if size == 0 {
		return 0, err
	}
	x.payload = x.appendAnswer(ctx, x.payload[:0], request)
	x.out = appendNetstring(x.out, x.payload)
	return size, nil
}

// appendAnswer adds the answer to "MAP KEY".
func (x *session) appendAnswer(ctx context.Context, b, request []byte) []byte {
	name, key, _ := bytes.Cut(request, []byte(" "))
	switch string(name) {
	case "mailgate":
		return x.appendTLS(ctx, b, string(key), false)
	case "QUERYwithTLSRPT": // as postfix-tlspol calls it, for Postfix since 3.10
		return x.appendTLS(ctx, b, string(key), true)
	case "preflight":
		return x.appendAdvice(ctx, b, string(key))
	}
	// PERM defers mail as TEMP does, and Postfix logs it. NOTFOUND would let a slip in
	// main.cf switch off every TLS policy, and nobody would hear of it.
	x.Metrics.failed("unknown-map")
	x.Log.Warn("socketmap: unknown map", "peer", x.peer, "map", string(name[:min(len(name), maxMapName)]))
	b = append(b, "PERM unknown map "...)
	b = appendPrintable(b, string(name), maxMapName)
	return append(b, ": want mailgate or preflight"...)
}

// maxMapName is as much of an unknown name as is repeated.
const maxMapName = 40

func (x *session) appendTLS(ctx context.Context, b []byte, key string, withReport bool) []byte {
	b, a := x.appendPolicy(ctx, x.peer, b, key, withReport)
	x.Metrics.policy(a)
	return b
}

func (x *session) appendAdvice(ctx context.Context, b []byte, key string) []byte {
	var advice Advice
	if ask, ok := parseKey(key); ok {
		advice = x.advise(ctx, x.peer, ask)
	}
	x.Metrics.advice(advice.Action)
	if advice.Action == Dunno {
		return append(b, "NOTFOUND "...)
	}
	return advice.appendAction(append(b, "OK "...))
}

func (x *session) answerDelegated(ctx context.Context, b []byte) (int, error) {
	lines, size, err := delegated(b, x.Limits.Request)
	if size == 0 {
		return 0, err
	}
	attributes, err := parseAttributes(lines, x.Limits.Attributes)
	if err != nil {
		return 0, err
	}
	var advice Advice
	if ask, ok := attributes.ask(); ok {
		advice = x.advise(ctx, x.peer, ask)
	}
	x.Metrics.advice(advice.Action)
	x.out = advice.appendAction(append(x.out, "action="...))
	x.out = append(x.out, "\n\n"...)
	return size, nil
}

// send sends the answers that are there.
func (x *session) send() error {
	if len(x.out) == 0 {
		return nil
	}
	if err := x.c.SetWriteDeadline(time.Now().Add(x.Limits.Write)); err != nil {
		return err
	}
	_, err := x.c.Write(x.out)
	x.out = x.out[:0]
	if err != nil {
		return fmt.Errorf("send an answer: %w", err)
	}
	return nil
}

// ended logs, in one line, a connection that didn't end as it should.
func (x *session) ended(err error) {
	switch {
	case errors.Is(err, door.ErrDraining), errors.Is(err, context.Canceled), errors.Is(err, errGone):
	case errors.Is(err, errIdle):
		x.Log.Debug("socketmap: idle connection closed", "peer", x.peer)
	case errors.Is(err, errMalformed):
		x.Metrics.failed("request")
		x.Log.Warn("socketmap: connection closed", "peer", x.peer, "error", err)
	case errors.Is(err, io.EOF):
		x.Log.Info("socketmap: connection closed by its client in the middle of a request", "peer", x.peer)
	default:
		x.Metrics.failed("connection")
		x.Log.Warn("socketmap: connection given up", "peer", x.peer, "error", err)
	}
}
