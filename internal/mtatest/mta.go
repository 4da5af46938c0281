// Package mtatest stands in for Postfix in tests and the demo: an SMTP server
// that asks a milter about every message, does as it is told, and delivers.
package mtatest

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/emersion/go-smtp"
)

// Mail is a message on its way to one recipient, as the milter has changed it.
type Mail struct {
	From, To string
	Content  []byte
	Milter   string // the address of the one that was asked
}

// Options of an MTA.
type Options struct {
	Hostname string
	Milter   func() string // where it listens now: "host:port" or "unix:/path"
	// Deliver brings a message to a recipient and returns the receiver's answer.
	Deliver func(context.Context, Mail) (answer string, err error)
}

// MTA takes mail over SMTP and by Submit. It is safe for concurrent use.
type MTA struct {
	o        Options
	server   *smtp.Server
	listener net.Listener
	queueIDs atomic.Int64
}

// Start listens on a free port of 127.0.0.1.
func Start(o Options) (*MTA, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the mail server %s: %w", o.Hostname, err)
	}
	m := &MTA{o: o, listener: listener}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{mta: m}, nil
	}))
	m.server.Domain = o.Hostname
	m.server.ErrorLog = quiet{}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

// Addr is where it takes mail over SMTP.
func (m *MTA) Addr() string { return m.listener.Addr().String() }

// Close ends it and the connections it has.
func (m *MTA) Close() error {
	err := m.server.Close()
	_ = m.listener.Close() // which the server doesn't know before it has begun to serve
	return err
}

// Delivery is what became of one recipient.
type Delivery struct {
	To     string
	Answer string // of the receiver
	Err    error  // the receiver's refusal
	Held   bool   // the milter removed the recipient, or discarded the message
}

// Submit takes a message as Postfix would: milter first, then delivery. An error
// is the milter's refusal, an *smtp.SMTPError, or ErrMilterGone.
func (m *MTA) Submit(ctx context.Context, from string, to []string, content []byte) ([]Delivery, error) {
	t, err := m.begin(from)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for _, rcpt := range to {
		if err := t.rcpt(rcpt); err != nil {
			return nil, err
		}
	}
	v, err := t.content(content)
	if err != nil {
		return nil, err
	}
	return m.deliver(ctx, t, v), nil
}

func (m *MTA) deliver(ctx context.Context, t *talk, v *verdict) []Delivery {
	var done []Delivery
	for _, rcpt := range t.to {
		if v.removed[rcpt] {
			done = append(done, Delivery{To: rcpt, Held: true})
			continue
		}
		answer, err := m.o.Deliver(ctx, Mail{From: t.from, To: rcpt, Content: v.content, Milter: t.milter})
		done = append(done, Delivery{To: rcpt, Answer: answer, Err: err})
	}
	return done
}

// quiet keeps protocol noise of expected failures off the screen.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}
