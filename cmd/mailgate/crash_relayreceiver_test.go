package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
)

// receivers are the mail servers the relay delivers to. Each life of the gateway has
// a server of its own, which tells them apart.
type receivers struct {
	book *relayBook
	kill func() // the gateway

	mu       sync.Mutex
	server   *smtp.Server
	listener net.Listener
	served   chan struct{}
	deadly   bool // at a final dot the gateway is killed
	dots     int  // others before that
}

// open starts the server of a life.
func (r *receivers) open(life int) error {
	r.drain()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener, r.served = l, make(chan struct{})
	r.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &relayReceiving{receivers: r, life: life, conn: c.Conn()}, nil
	}))
	r.server.Domain = "mx.test"
	r.server.ErrorLog = log.New(io.Discard, "", 0) // of connections that end with the gateway
	server, served := r.server, r.served
	go func() {
		defer close(served)
		_ = server.Serve(l) // drain ends it
	}()
	return nil
}

func (r *receivers) addr() string { return r.listener.Addr().String() }
func (r *receivers) port() int    { return r.listener.Addr().(*net.TCPAddr).Port }

// drain reads what a gateway that is gone has sent, to the end.
func (r *receivers) drain() {
	r.mu.Lock()
	server, listener, served := r.server, r.listener, r.served
	r.server = nil
	r.mu.Unlock()
	if server == nil {
		return
	}
	listener.Close()
	<-served
	_ = server.Shutdown(context.Background())
}

func (r *receivers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		r.server.Close()
	}
}

// killAfter has the gateway killed at a final dot, after so many others.
func (r *receivers) killAfter(dots int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deadly, r.dots = true, dots
}

func (r *receivers) killsNow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dots--
	now := r.deadly && r.dots < 0
	r.deadly = r.deadly && !now
	return now
}

// relayReceiving is one session.
type relayReceiving struct {
	*receivers
	life int
	conn net.Conn
	from string
	to   []string
}

func (r *relayReceiving) Reset()        { r.to = nil }
func (r *relayReceiving) Logout() error { return nil }

func (r *relayReceiving) Mail(from string, _ *smtp.MailOptions) error {
	r.from = from
	return nil
}

func (r *relayReceiving) Rcpt(to string, _ *smtp.RcptOptions) error {
	if kind := kindOf(to); !strings.HasPrefix(kind, "dot") {
		if err := r.book.answer(kind, to); err != nil {
			return err
		}
	}
	r.to = append(r.to, to)
	return nil
}

// Data takes the message or not, and answers unless it kills the gateway instead.
func (r *relayReceiving) Data(content io.Reader) error {
	all, err := io.ReadAll(content)
	if err != nil {
		return err // no final dot: nothing was taken
	}
	for _, to := range r.to {
		if kind, dot := strings.CutPrefix(kindOf(to), "dot"); dot {
			err = r.book.answer(kind, to)
		}
	}
	if errors.Is(err, errGone) {
		r.conn.Close()
		return err
	}
	if err == nil {
		r.book.receive(r.life, r.from, r.to, all)
	}
	if r.killsNow() {
		if err == nil && r.from != "" {
			r.book.do(func() { r.book.ofLife(r.life).dotTaken = true })
		}
		r.kill()
		_, _ = io.Copy(io.Discard, r.conn) // until it is gone
		return fmt.Errorf("nobody hears this")
	}
	return err
}

// errGone is no answer.
var errGone = errors.New("the receiver is gone")

// answer is what an address is answered.
func (b *relayBook) answer(kind, to string) (err error) {
	b.do(func() {
		again := b.answered[to] || b.peace
		b.answered[to] = true
		switch {
		case kind == willReturn:
			err = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		case "dot"+kind == dotGone && !again:
			err = errGone
		case kind == willWait && !again:
			err = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "come back later"}
		case kind == willHold && !again:
			err = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 26}, Message: "this mail is unauthenticated"}
		}
	})
	return err
}
