package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/dnstest"
)

// sink is the server where all mail ends. It takes each message, looks at its
// header, and forgets it, save for a few whose signatures are verified later.
type sink struct {
	net.Listener
	arrived chan struct{} // something did

	mu       sync.Mutex
	seen     map[int]bool // numbers of messages
	again    int          // messages that came before
	unsigned int          // messages without DKIM-Signature
	samples  [][]byte
}

const (
	every = 500 // of so many messages one is kept

	deliveryPatience = 10 * time.Minute // for mail to arrive
)

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{Listener: l, arrived: make(chan struct{}, 1), seen: map[int]bool{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

// forget begins a new count.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.again, s.unsigned, s.samples = map[int]bool{}, 0, 0, nil
}

// wait returns when so many different messages are there.
func (s *sink) wait(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryPatience)
	defer cancel()
	for {
		s.mu.Lock()
		n := len(s.seen)
		s.mu.Unlock()
		if n >= want {
			return nil
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages arrived: %w", n, want, ctx.Err())
		}
	}
}

// check sees that each message came once and signed, and that the samples verify.
func (s *sink) check(ctx context.Context, dns *dnstest.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again > 0 || s.unsigned > 0 {
		return fmt.Errorf("of %d messages %d came again, and %d without a signature", len(s.seen), s.again, s.unsigned)
	}
	lookup := func(name string) ([]string, error) { return dns.Resolver().LookupTXT(ctx, name) }
	for _, m := range s.samples {
		verified, err := dkim.VerifyWithOptions(bytes.NewReader(m), &dkim.VerifyOptions{LookupTXT: lookup})
		if err == nil && (len(verified) != 1 || verified[0].Domain != domain) {
			err = fmt.Errorf("%d signatures", len(verified))
		}
		if err == nil {
			err = verified[0].Err
		}
		if err != nil {
			return fmt.Errorf("a signature does not verify: %w", err)
		}
	}
	return nil
}

// serve is a session.
func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	out.WriteString("220 sink ESMTP\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			out.WriteString("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n")
		case "DATA":
			out.WriteString("354 go on\r\n")
			if out.Flush() != nil || s.message(in) != nil {
				return
			}
			out.WriteString("250 2.0.0 taken\r\n")
		case "QUIT":
			out.WriteString("221 bye\r\n")
			out.Flush()
			return
		default:
			out.WriteString("250 OK\r\n")
		}
	}
}

// message reads one to the final dot.
func (s *sink) message(in *bufio.Reader) error {
	var text []byte
	for !bytes.HasSuffix(text, []byte("\r\n.\r\n")) {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		text = append(text, line...)
		if len(text) > 64<<20 {
			return io.ErrShortBuffer
		}
	}
	text = text[:len(text)-len(".\r\n")]
	header, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	signed := bytes.HasPrefix(header, []byte("DKIM-Signature:")) || bytes.Contains(header, []byte("\r\nDKIM-Signature:"))
	_, rest, _ := bytes.Cut(header, []byte("\r\n"+numberField))
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	number, err := strconv.Atoi(string(digits))
	if err != nil {
		return fmt.Errorf("message without a number: %w", err)
	}
	s.note(number, signed, text)
	return nil
}

func (s *sink) note(number int, signed bool, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[number] {
		s.again++
	}
	s.seen[number] = true
	if !signed {
		s.unsigned++
	}
	if number%every == 0 {
		s.samples = append(s.samples, text)
	}
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}
