package relay

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// box is a mail server that answers as a test wants.
type box struct {
	extensions []string                 // of EHLO; nil: 8BITMIME, SIZE and, with a certificate, STARTTLS
	cert       *tls.Certificate         // nil: no TLS
	tls        *tls.Config              // nil: with cert alone
	implicit   bool                     // TLS from the first byte on
	answer     func(line string) string // to a command; "": as usual; "close": the connection is closed. "." is the message's end, "greeting" the beginning

	mu          sync.Mutex
	mails       []boxMail
	connections int
	open, most  int // connections at once
	lines       []string
	listener    net.Listener
}

type boxMail struct {
	from, content string
	to            []string
	tls           bool
}

func startBox(t testing.TB, b *box) *box {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.listener = l
	var all sync.WaitGroup
	conns := make(chan net.Conn, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- c
			all.Go(func() { b.serve(c) })
		}
	}()
	t.Cleanup(func() {
		l.Close()
		for c := range conns {
			c.Close()
		}
		all.Wait()
	})
	return b
}

func (b *box) serve(c net.Conn) {
	defer c.Close()
	b.mu.Lock()
	b.connections++
	b.open++
	b.most = max(b.most, b.open)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.open--
		b.mu.Unlock()
	}()
	if b.implicit {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*b.cert}})
	}
	s := &boxSession{b: b, c: c, in: bufio.NewReader(c)}
	if !s.say("greeting", "220 box ready") {
		return
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil || !s.command(strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

type boxSession struct {
	b  *box
	c  net.Conn
	in *bufio.Reader
	m  boxMail
}

// say answers a line; false ends the session.
func (s *boxSession) say(line, usual string) bool { return s.send(cmp.Or(s.b.says(line), usual)) }

func (s *boxSession) send(text string) bool {
	if text == "close" {
		return false
	}
	fmt.Fprintf(s.c, "%s\r\n", text)
	return !strings.HasPrefix(text, "421") && !strings.HasPrefix(text, "221")
}

func (s *boxSession) said(line string) bool { return s.b.says(line) == "" }

func (b *box) says(line string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == nil {
		return ""
	}
	return b.answer(line)
}

func (b *box) answers(f func(string) string) { b.change(func() { b.answer = f }) }

// change changes what answers depend on.
func (b *box) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (s *boxSession) command(line string) bool {
	s.b.mu.Lock()
	s.b.lines = append(s.b.lines, line)
	s.b.mu.Unlock()
	verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
	switch verb {
	case "EHLO":
		return s.say(line, s.extensions())
	case "STARTTLS":
		if s.b.cert == nil {
			return s.say(line, "502 5.5.1 no such command")
		}
		if !s.say(line, "220 go on") {
			return false
		}
		if said := s.b.says(line); said != "" && !strings.HasPrefix(said, "220") {
			return true
		}
		secured := tls.Server(s.c, cmp.Or(s.b.tls, &tls.Config{Certificates: []tls.Certificate{*s.b.cert}}))
		if secured.Handshake() != nil {
			return false
		}
		s.c, s.in, s.m.tls = secured, bufio.NewReader(secured), true
		return true
	case "AUTH":
		return s.say(line, "235 2.7.0 ok")
	case "MAIL":
		s.m = boxMail{from: line, tls: s.m.tls}
		return s.say(line, "250 2.1.0 ok")
	case "RCPT":
		if said := s.b.says(line); said == "" || said[0] == '2' {
			s.m.to = append(s.m.to, line)
		}
		return s.say(line, "250 2.1.5 ok")
	case "DATA":
		if !s.said(line) {
			return s.say(line, "")
		}
		return s.say(line, "354 go on") && s.data()
	case "QUIT":
		return s.say(line, "221 bye")
	}
	return s.say(line, "250 ok")
}

func (s *boxSession) extensions() string {
	list := s.b.extensions
	if list == nil {
		list = []string{"8BITMIME", "SIZE 1000000"}
		if s.b.cert != nil && !s.m.tls {
			list = append(list, "STARTTLS")
		}
	}
	lines := append([]string{"box"}, list...)
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return strings.Join(lines, "\r\n")
}

func (s *boxSession) data() bool {
	content, err := io.ReadAll(textproto.NewReader(s.in).DotReader())
	if err != nil {
		return false
	}
	s.m.content = string(content)
	answer := s.b.says(".")
	if answer == "" || strings.HasPrefix(answer, "2") || answer == "close" {
		s.b.mu.Lock()
		s.b.mails = append(s.b.mails, s.m)
		s.b.mu.Unlock()
	}
	return s.send(cmp.Or(answer, "250 2.0.0 queued as 4Zx"))
}

// got returns what was taken so far.
func (b *box) got() []boxMail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]boxMail(nil), b.mails...)
}

// count returns how many connections there were, and at most at once.
func (b *box) count() (connections, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.connections, b.most
}

// starting answers lines that begin so.
func starting(answers map[string]string) func(string) string {
	return func(line string) string {
		for start, answer := range answers {
			if strings.HasPrefix(line, start) {
				return answer
			}
		}
		return ""
	}
}
