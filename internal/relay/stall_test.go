package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
)

// script plays an MTA that answers each command as told, and then hands over the
// connection.
func script(t *testing.T, then func(*bufio.Reader), answers ...string) *Reinjector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for i, answer := range answers {
			if i > 0 {
				if _, err := in.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprintf(c, "%s\r\n", answer)
		}
		then(in)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &Reinjector{Address: l.Addr().String(), Hostname: "mx1.example.com"}
}

// endless is a message without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// An MTA that reads no more doesn't hold a release up for ever.
func TestInjectStalls(t *testing.T) {
	open := make(chan struct{})
	stall := func(*bufio.Reader) { <-open }
	tests := map[string]struct {
		r    *Reinjector
		set  func(*Reinjector)
		says string
	}{
		"takes no bytes": {script(t, stall, "220 hi", "250 hi", "250 ok", "250 ok", "354 go on"),
			func(r *Reinjector) { r.WriteTimeout = 50 * time.Millisecond }, "i/o timeout"},
		"takes too long": {script(t, stall, "220 hi", "250 hi", "250 ok", "250 ok", "354 go on"),
			func(r *Reinjector) { r.Timeout = 50 * time.Millisecond }, errSlow.Error()},
		"says nothing": {script(t, stall),
			func(r *Reinjector) { r.Timeout = 50 * time.Millisecond }, errSlow.Error()},
	}
	t.Cleanup(func() { close(open) })
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.set(test.r)
			_, err := test.r.Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", endless{})
			if err == nil || !strings.Contains(err.Error(), test.says) || errors.Is(err, ErrUnanswered) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// When the answer to the final dot doesn't come, nobody knows.
func TestInjectUnanswered(t *testing.T) {
	untilDot := func(in *bufio.Reader) {
		for line := ""; line != ".\r\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
	}
	r := script(t, untilDot, "220 hi", "250 hi", "250 ok", "250 ok", "354 go on")
	_, err := r.Inject(t.Context(), message(bob), []mail.Address{bob}, "TOKEN", strings.NewReader(original))
	if !errors.Is(err, ErrUnanswered) || !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}
