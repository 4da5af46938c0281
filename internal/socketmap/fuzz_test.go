package socketmap

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mailgate/internal/door"
)

// memory is a connection on which all is there already, in pieces of a size.
type memory struct {
	net.Conn
	in    io.Reader
	piece int

	out     bytes.Buffer
	largest int // of what was sent at once
}

func (m *memory) Read(p []byte) (int, error)       { return m.in.Read(p[:min(len(p), m.piece)]) }
func (m *memory) Close() error                     { return nil }
func (m *memory) RemoteAddr() net.Addr             { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

func (m *memory) Write(p []byte) (int, error) {
	m.largest = max(m.largest, len(p))
	return m.out.Write(p)
}

// talk returns what is answered to b when it comes in pieces.
func talk(t *testing.T, b []byte, piece int) []byte {
	s := NewServer(Config{
		Policies: policies(), Preflight: &fakePreflight{}, Log: slog.New(slog.DiscardHandler),
		Limits: Limits{Request: 500, Attributes: 20, Advice: time.Millisecond},
	})
	m := &memory{in: iotest.DataErrReader(bytes.NewReader(b)), piece: piece}
	s.session(t.Context(), &door.Conn{Conn: m})
	return m.out.Bytes()
}

// Whatever comes, in whatever pieces, the answers are the same, and each is one that
// Postfix reads.
func FuzzConversation(f *testing.F) {
	for _, s := range []string{
		ns("mailgate example.net") + ns("mailgate other.example"),
		ns("mailgate unsettled.example") + ns("junk") + ns("preflight a@b refuse@c") + "1:",
		rcpt("recipient=refuse@gmail.com") + rcpt("recipient=defer@gmail.com"),
		rcpt("recipient=panic@gmail.com") + "\n",
		"0:,", "EHLO x\r\n\r\n", "\x16\x03\x01",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("wait")) {
			return
		}
		whole := talk(t, b, len(b)+1)
		if pieces := talk(t, b, 1); !bytes.Equal(whole, pieces) {
			t.Fatalf("at once %q, in pieces %q", whole, pieces)
		}
		for rest := whole; len(rest) > 0; {
			rest = wantReadable(t, rest)
		}
	})
}

// wantReadable takes the first answer off, which must be one of either protocol.
func wantReadable(t *testing.T, answers []byte) (rest []byte) {
	t.Helper()
	if after, ok := bytes.CutPrefix(answers, []byte("action=")); ok {
		action, rest, ok := strings.Cut(string(after), "\n\n")
		if !ok || strings.Contains(action, "\n") || !startsWith(action, "DUNNO", "550 5.", "DEFER_IF_PERMIT 4.") {
			t.Fatalf("%q is no action", after)
		}
		return []byte(rest)
	}
	payload, size, err := netstring(answers, maxReply)
	if err != nil || size == 0 || !startsWith(string(payload), "OK ", "NOTFOUND ", "TEMP ", "PERM ") {
		t.Fatalf("%q is no answer", answers)
	}
	return answers[size:]
}

func startsWith(s string, any ...string) bool {
	for _, prefix := range any {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
