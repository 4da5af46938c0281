package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// raw speaks frames, right or wrong.
type raw struct {
	net.Conn
	t        testing.TB
	patience time.Duration // with one frame
}

func (r *rig) raw(t testing.TB) *raw {
	t.Helper()
	nc, err := r.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &raw{nc, t, hang}
}

func encode(code byte, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return append(append(b, code), payload...)
}

// everything is an offer of all flags.
var everything = encode('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

const (
	connectPayload = "app.example.com\x004\x12\x67192.0.2.7\x00"
	fromPayload    = "From\x00 ann@example.com\x00"
)

// conversation is a whole message in frames.
func conversation(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

var opening = conversation(everything, encode('C', connectPayload), encode('H', "helo\x00"))

func (r *raw) send(b []byte) {
	r.t.Helper()
	r.SetWriteDeadline(time.Now().Add(r.patience))
	if _, err := r.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// recv reads a frame.
func (r *raw) recv() (code byte, payload string, err error) {
	r.SetReadDeadline(time.Now().Add(r.patience))
	var n uint32
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, "", err
	}
	return b[0], string(b[1:]), nil
}

func (r *raw) wants(code byte) {
	r.t.Helper()
	got, payload, err := r.recv()
	if err != nil || got != code {
		r.t.Fatalf("answer %q %q %v, want %q", got, payload, err, code)
	}
}

// opened wants the answers to opening: HELO's is asked for.
func (r *raw) opened() {
	r.t.Helper()
	r.wants('O')
	r.wants('c')
}

// closed wants the end of the connection, with no more answers.
func (r *raw) closed() {
	r.t.Helper()
	if code, payload, err := r.recv(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("answer %q %q (%v), want the connection closed", code, payload, err)
	}
}

var envelope = conversation(opening, encode('M', "<ann@example.com>\x00"), encode('R', "<bob@example.net>\x00"))

func TestMalformedFrames(t *testing.T) {
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	tests := map[string]struct {
		frames []byte
		says   string
	}{
		"length 0 first":        {length(0), "frame of length 0"},
		"length 2^32-1 first":   {length(1<<32 - 1), "frame of length 4294967295"},
		"not a negotiation":     {encode('C', connectPayload), "before the negotiation"},
		"HTTP":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), "frame of length 1195725856"},
		"short negotiation":     {encode('O', "\x00\x00\x00\x06"), "negotiation of 4 bytes"},
		"length 0":              {conversation(opening, length(0)), "frame of length 0"},
		"length maximum + 1":    {conversation(opening, length(maxFrame+1)), "frame of length 1048577"},
		"length 2^32-1":         {conversation(opening, length(1<<32-1)), "frame of length 4294967295"},
		"second negotiation":    {conversation(opening, everything), "out of order"},
		"unknown command":       {conversation(opening, encode('z', "")), "unknown command"},
		"macros for nothing":    {conversation(opening, encode('D', "")), "macros without"},
		"connect without end":   {conversation(everything, encode('C', "host")), "connect without"},
		"connect, short":        {conversation(everything, encode('C', "host\x004\x00")), "connect without port"},
		"connect, no family":    {conversation(everything, encode('C', "host\x00x1234\x00")), "connect with family"},
		"helo without NUL":      {conversation(opening, encode('H', "helo")), "without an argument"},
		"mail without argument": {conversation(opening, encode('M', "")), "without an argument"},
		"mail before connect":   {conversation(everything, encode('M', "<a@b.c>\x00")), "out of order, after negotiation"},
		"rcpt before mail":      {conversation(opening, encode('R', "<a@b.c>\x00")), "out of order, after connect"},
		"header before mail":    {conversation(opening, encode('L', fromPayload)), "out of order"},
		"end of body first":     {conversation(envelope, encode('E', "")), "out of order, after envelope"},
		"body before header":    {conversation(envelope, encode('B', "x")), "out of order, after envelope"},
		"mail in the header":    {conversation(envelope, encode('L', fromPayload), encode('M', "<a@b.c>\x00")), "out of order, after header"},
		"header without value":  {conversation(envelope, encode('L', "From\x00")), "header field that is not"},
		"header of three":       {conversation(envelope, encode('L', "From\x00x\x00y\x00")), "header field that is not"},
		"header without name":   {conversation(envelope, encode('L', "\x00x\x00")), "header field that is not"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			said := globalLog(t)
			r := start(t, nil)
			other := r.session(t, trustedClient)
			c := r.raw(t)
			c.send(test.frames)
			if bytes.HasPrefix(test.frames, everything) {
				c.wants('O')
			}
			if bytes.HasPrefix(test.frames, opening) {
				c.wants('c')
			}
			c.closed()
			r.log.has(t, test.says)
			eventually(t, "end of the session", func() bool { return strings.Contains(r.log.String(), "given up") })
			if n := strings.Count(r.log.String(), "peer="); n != 1 {
				t.Errorf("%d log lines:\n%s", n, r.log)
			}
			if said.String() != "" {
				t.Errorf("global log: %s", said)
			}
			other.send(hello("bob@example.net"))
		})
	}
}

// What is odd but clear goes on.
func TestOddFrames(t *testing.T) {
	tests := map[string][]byte{
		"frame of the maximum":   encode('D', "M"+strings.Repeat("x", maxFrame-2)),
		"length 1":               encode('A', ""),
		"odd macro list":         encode('D', "Mi\x00Q1\x00j\x00"),
		"macros without NUL":     encode('D', "Mi"),
		"empty macros":           encode('D', "M"),
		"HELO twice":             encode('H', "again\x00"),
		"another connect":        encode('C', connectPayload),
		"connect, family only":   encode('C', "unknown\x00U"),
		"MAIL twice":             encode('M', "<eve@example.com>\x00"),
		"MAIL, aborted":          conversation(encode('M', "<eve@example.com>\x00"), encode('A', "")),
		"abort again and again":  bytes.Repeat(encode('A', ""), 1000),
		"message cut by aborts":  conversation(encode('M', "<eve@example.com>\x00"), encode('L', fromPayload), encode('A', "")),
		"ESMTP arguments on end": encode('M', "<eve@example.com>\x00SIZE=1\x00SMTPUTF8\x00"),
	}
	for name, frames := range tests {
		t.Run(name, func(t *testing.T) {
			said := globalLog(t)
			r := start(t, nil)
			c := r.raw(t)
			c.send(conversation(opening, frames,
				encode('M', "<ann@example.com>\x00"), encode('R', "<bob@example.net>\x00"),
				encode('L', fromPayload), encode('N', "")))
			c.opened()
			if name == "HELO twice" {
				c.wants('c')
			}
			code, payload, err := c.recv()
			if err != nil || code != 'c' && name != "connect, family only" {
				t.Fatalf("answer %q %q %v", code, payload, err)
			}
			if code == 'c' {
				c.send(encode('E', ""))
				c.wants('i')
				c.wants('i')
				c.wants('a')
			}
			c.send(encode('Q', ""))
			c.closed()
			if said.String() != "" {
				t.Errorf("global log: %s", said)
			}
		})
	}
}

// An MTA that doesn't know of no-unknown is answered, and DATA too.
func TestUnknownAndData(t *testing.T) {
	r := start(t, nil)
	c := r.raw(t)
	c.send(encode('O', "\x00\x00\x00\x06\x00\x00\x00\x3f\x00\x00\x00\x7f"))
	c.wants('O')
	for _, frame := range [][]byte{
		encode('C', connectPayload), encode('H', "helo\x00"), encode('U', "XFOO\x00"),
		encode('M', "<ann@example.com>\x00"), encode('R', "<bob@example.net>\x00"), encode('T', ""),
		encode('L', "From\x00ann@example.com\x00"), encode('N', ""), encode('B', "x\r\n"),
	} {
		c.send(frame)
		c.wants('c')
	}
	c.send(encode('K', ""))
	c.closed()
}

// Sendmail's libmilter takes body in the end-of-body command; the library drops it.
func TestBodyInEndOfBody(t *testing.T) {
	r := start(t, nil)
	c := r.raw(t)
	c.send(conversation(opening, encode('M', "<ann@example.com>\x00"), encode('R', "<hold@example.net>\x00"),
		encode('L', fromPayload), encode('N', ""), encode('B', "first "), encode('E', "last\r\n")))
	c.opened()
	c.wants('c')
	c.wants('d')
	if want := "From: ann@example.com\r\n\r\nfirst last\r\n"; r.spool.bytes[0] != want {
		t.Errorf("in custody %q", r.spool.bytes[0])
	}
}

// Macros of an earlier stage, or of an earlier message, are not this one's.
func TestMacros(t *testing.T) {
	r := start(t, nil)
	c := r.raw(t)
	connect := "mx.example.net\x004\x12\x67198.51.100.9\x00"
	message := func(before ...[]byte) []byte {
		return conversation(append(before, encode('M', "<ann@example.com>\x00SMTPUTF8\x00"), encode('R', "<bob@example.net>\x00"),
			encode('D', "Li\x00Q7\x00"), encode('L', fromPayload), encode('D', "Li\x00Q7\x00"), encode('N', ""))...)
	}
	c.send(conversation(everything, encode('C', connect), encode('H', "helo\x00"), message(encode('D', "M{auth_authen}\x00ann\x00"))))
	c.opened()
	c.wants('c')
	if env := r.gate.last(t).env; env.User != "ann" || env.QueueID != "Q7" || !env.SMTPUTF8 {
		t.Errorf("envelope %+v", env)
	}
	c.send(conversation(encode('A', ""), message()))
	c.wants('a')
	if env := r.gate.last(t).env; env.User != "" || env.QueueID != "Q7" {
		t.Errorf("envelope %+v", env)
	}
}

// A connection that ends anywhere leaves nothing behind, and is told in one line
// at most.
func TestClosedInTheMiddle(t *testing.T) {
	said := globalLog(t)
	r := start(t, func(s *Server) { s.DrainTimeout = hang })
	whole := conversation(opening, encode('M', "<ann@example.com>\x00"), encode('R', "<hold@example.net>\x00"),
		encode('L', fromPayload), encode('N', ""), encode('B', "body\r\n"), encode('E', ""))
	for n := range len(whole) {
		c := r.raw(t)
		c.send(whole[:n])
		if n%2 == 0 { // otherwise even the answers find nobody
			c.Conn.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, c)
		}
		c.Close()
	}
	r.session(t, trustedClient).send(hello("bob@example.net"))
	r.stop()
	if err := <-r.stopped; err != nil { // when all sessions have ended
		t.Fatal(err)
	}
	if r.spool.count() != 0 {
		t.Error("a message that never ended is in custody")
	}
	if n := strings.Count(r.log.String(), "\n"); n > len(whole)+1 {
		t.Errorf("%d log lines for %d connections", n, len(whole))
	}
	if said.String() != "" {
		t.Errorf("global log: %s", said)
	}
	if len(r.gate.seen) < 5 {
		t.Errorf("the gate saw %d messages only", len(r.gate.seen))
	}
	for _, tx := range r.gate.seen {
		if !tx.canceled {
			t.Error("a transaction was left open")
		}
	}
}

// sessions reads the gauge of open sessions.
func (r *rig) sessions(t testing.TB) int {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "mailgate_milter_sessions" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("no gauge")
	return 0
}
