package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
)

const (
	crashClients = 6
	crashBacklog = 120 // recipients acknowledged and not arrived, at which clients rest
)

// load is the clients of a world, and its reviewer.
type load struct {
	w      *crashWorld
	ending chan struct{} // no further letters
	over   chan struct{} // leave them
	once   sync.Once
	wg     sync.WaitGroup
}

func (w *crashWorld) startLoad() *load {
	l := &load{w: w, ending: make(chan struct{}), over: make(chan struct{})}
	for range crashClients {
		l.wg.Go(l.client)
	}
	l.wg.Go(l.reviewer)
	return l
}

// end lets every client finish the letter it is at: a gateway must run.
func (l *load) end() {
	l.w.ledger.do(func() { close(l.ending) })
	l.wg.Wait()
}

// abort leaves letters that are not acknowledged.
func (l *load) abort() {
	l.w.ledger.do(func() { l.once.Do(func() { close(l.over) }) })
	l.wg.Wait()
}

func (l *load) ended() bool {
	select {
	case <-l.ending:
		return true
	case <-l.over:
		return true
	default:
		return false
	}
}

// client submits one letter after the other, each until it has its 250.
func (l *load) client() {
	var conn *smtp.Client
	for {
		l.w.ledger.wait(func() bool { return l.ended() || l.w.ledger.missing < crashBacklog })
		if l.ended() {
			return
		}
		m := l.w.ledger.write("ann@"+l.w.dns.sender(), rand.Float64() < l.w.step.Load().large)
		for acked := false; !acked; {
			select {
			case <-l.w.answers():
			case <-l.over:
				return
			}
			if conn == nil {
				var err error
				if conn, err = smtp.Dial(l.w.mta.Addr()); err != nil {
					l.w.t.Error(err)
					return
				}
			}
			err := submit(conn, m)
			acked = err == nil
			if err != nil {
				conn.Close()
				conn = nil
				l.refused(m, err)
			}
		}
		l.w.ledger.acknowledge(m)
	}
}

// errBroken marks a refusal in answer to the whole message.
var errBroken = errors.New("no answer to the message")

func submit(conn *smtp.Client, m *letter) error {
	if err := conn.Mail(m.from, nil); err != nil {
		return err
	}
	for _, to := range m.to {
		if err := conn.Rcpt(to, nil); err != nil {
			return err
		}
	}
	data, err := conn.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(m.content()); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return errors.Join(errBroken, err)
	}
	return nil
}

// refused notes a try in vain: only what is temporary may happen, and only where
// the gateway was killed before it answered the message may that be in custody.
func (l *load) refused(m *letter, err error) {
	said, ok := errors.AsType[*smtp.SMTPError](err)
	l.w.ledger.do(func() {
		switch {
		case !ok || said.Code/100 != 4:
			l.w.ledger.fault("letter %d was refused: %v", m.n, err)
		case !strings.HasPrefix(said.Message, "Service unavailable"):
			l.w.ledger.deferred[said.Error()]++
		case errors.Is(err, errBroken):
			m.broken++
		}
	})
}
