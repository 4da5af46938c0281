//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hop is a next hop that notes what it is given, word by word.
type hop struct {
	address string
	offers  []string // EHLO keywords

	mu       sync.Mutex
	handed   []handed
	refusals map[string]string // answers to RCPT, by address
}

// handed is one transaction: the commands as they came, and the message.
type handed struct {
	mail  string
	rcpts []string
	raw   []byte
}

// to returns the addresses of the recipients.
func (h handed) to() []string {
	var all []string
	for _, r := range h.rcpts {
		all = append(all, pathIn(r))
	}
	return all
}

// pathIn returns the address in a MAIL or RCPT command.
func pathIn(command string) string {
	_, path, _ := strings.Cut(command, "<")
	path, _, _ = strings.Cut(path, ">")
	return path
}

func startHop(t *testing.T, at string, offers ...string) *hop {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{address: at, offers: offers, refusals: map[string]string{}}
	var running sync.WaitGroup
	var open sync.Map
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			running.Go(func() {
				defer c.Close()
				h.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		running.Wait()
	})
	return h
}

func (h *hop) serve(c net.Conn) {
	in := bufio.NewReader(c)
	var now handed
	say := func(lines ...string) {
		for i, line := range lines {
			if i < len(lines)-1 {
				line = line[:3] + "-" + line[4:]
			}
			fmt.Fprintf(c, "%s\r\n", line)
		}
	}
	say("220 hop.test ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			replies := []string{"250 hop.test"}
			for _, keyword := range h.offers {
				replies = append(replies, "250 "+keyword)
			}
			say(replies...)
		case "MAIL":
			now = handed{mail: line}
			say("250 2.1.0 ok")
		case "RCPT":
			if no := h.refusal(pathIn(line)); no != "" {
				say(no)
				continue
			}
			now.rcpts = append(now.rcpts, line)
			say("250 2.1.5 ok")
		case "DATA":
			say("354 go on")
			if now.raw, err = readDotted(in); err != nil {
				return
			}
			h.take(now)
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// readDotted reads up to CRLF.CRLF and undoes the stuffing, and nothing else.
func readDotted(in *bufio.Reader) ([]byte, error) {
	var raw []byte
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		begins := len(raw) == 0 || bytes.HasSuffix(raw, []byte("\r\n"))
		if begins && string(line) == ".\r\n" {
			return raw, nil
		}
		if begins {
			line = bytes.TrimPrefix(line, []byte("."))
		}
		raw = append(raw, line...)
	}
}

func (h *hop) take(m handed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handed = append(h.handed, m)
}

// refuse has the hop answer RCPT for an address so.
func (h *hop) refuse(address, answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusals[address] = answer
}

func (h *hop) refusal(address string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refusals[address]
}

// about returns the transactions so far of messages that hold some text.
func (h *hop) about(text string) []handed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.handed), func(m handed) bool { return !bytes.Contains(m.raw, []byte(text)) })
}

// wait waits until so many recipients were given messages that hold some text, and
// returns the transactions.
func (h *hop) wait(t *testing.T, text string, recipients int) []handed {
	t.Helper()
	var all []handed
	eventually(t, fmt.Sprintf("%d recipients of %q", recipients, text), func() bool {
		n := 0
		all = h.about(text)
		for _, m := range all {
			n += len(m.rcpts)
		}
		return n >= recipients
	})
	return all
}
