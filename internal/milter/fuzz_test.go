package milter

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"testing"
	"time"

	"mailgate/internal/door"
)

// FuzzSession gives the server any bytes: it must end the session by itself,
// without a panic, without a word from the library, and hold or sign nothing that
// didn't come as a whole message.
func FuzzSession(f *testing.F) {
	message := conversation(encode('M', "<ann@example.com>\x00"), encode('R', "<hold@example.net>\x00"),
		encode('R', "<bob@example.net>\x00"), encode('L', fromPayload), encode('L', "X-Mailgate-Release\x00 sesame\x00"),
		encode('N', ""), encode('B', "body\r\n"), encode('E', "rest"))
	f.Add([]byte{})
	f.Add(everything)
	f.Add(conversation(opening, message, message, encode('Q', "")))
	f.Add(conversation(encode('O', "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"), opening[len(everything):], message))
	f.Add(conversation(opening, encode('D', "M{auth_authen}\x00ann\x00i"), message, encode('A', ""), encode('K', "")))
	f.Add(conversation(opening, encode('U', "x"), []byte{0, 0, 0, 0}))
	f.Add(conversation(opening, []byte{0xff, 0xff, 0xff, 0xff, 'B'}))
	f.Add(conversation(everything, encode('C', "h\x006\x00\x00IPv6:2001:db8::1\x00"), message, message[:40]))

	said := &bytes.Buffer{}
	log.SetOutput(said)
	own := &bytes.Buffer{}
	f.Fuzz(func(t *testing.T, input []byte) {
		own.Reset()
		taken := &fakeSpool{}
		s := (&Server{
			Gate: &fakeGate{}, Custody: taken, Redeemer: &fakeTokens{},
			Log: slog.New(slog.NewTextHandler(own, nil)),
		}).withDefaults()
		s.serve(context.Background(), newConn(&door.Conn{Conn: &scripted{in: bytes.NewReader(input)}}, s))
		if said.Len() > 0 {
			t.Errorf("global log: %s", said)
		}
		if bytes.Contains(own.Bytes(), []byte("panic")) {
			t.Errorf("log: %s", own)
		}
		if ends := bytes.Count(input, []byte{'E'}); taken.count() > ends {
			t.Errorf("%d messages in custody, %d ended", taken.count(), ends)
		}
	})
}

// scripted is a connection whose other end says what is in a buffer.
type scripted struct {
	in io.Reader
}

func (s *scripted) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (s *scripted) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
