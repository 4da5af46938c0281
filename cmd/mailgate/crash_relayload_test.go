package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/quarantine"
	"mailgate/internal/web"
)

const (
	relayClients = 3
	relayBacklog = 40 // recipients acknowledged and not arrived, at which clients rest
	relayLook    = 5 * time.Millisecond
)

// startRelayLoad is the clients of the relay: one who sends the next letter when
// nothing is left of the last one, or several, and an operator.
func (w *crashWorld) startRelayLoad() *load {
	if w.single {
		l := &load{w: w, ending: make(chan struct{}), over: make(chan struct{})}
		l.wg.Go(l.oneByOne)
		return l
	}
	l := w.startLoad()
	for range relayClients {
		l.wg.Go(l.crowd)
	}
	l.wg.Go(l.operator)
	return l
}

// oneByOne brings each letter to its end before it writes the next. What isn't
// acknowledged is sent again once its copies in custody, if any, are gone.
func (l *load) oneByOne() {
	var m *letter
	for !l.ended() || m != nil {
		if !l.clear() {
			if l.isOver() {
				return
			}
			continue
		}
		if m == nil {
			from := "ann@" + fineSender
			if rand.IntN(4) == 0 {
				from = "ann@" + l.w.dns.sender()
			}
			m = l.w.receivers.book.write(from, rand.IntN(10) == 0)
		}
		if l.relay(m) {
			m = nil
		}
	}
}

func (l *load) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// crowd sends letters as fast as the relay brings them away.
func (l *load) crowd() {
	for !l.ended() {
		if l.w.receivers.book.missing() >= relayBacklog {
			time.Sleep(relayLook)
			continue
		}
		m := l.w.receivers.book.write("ann@"+l.w.dns.sender(), rand.Float64() < l.w.step.Load().large)
		for !l.relay(m) {
			if l.isOver() {
				return
			}
		}
	}
}

// operator has what waits tried again, and releases what is held, now and then.
func (l *load) operator() {
	for !l.ended() {
		switch rand.IntN(6) {
		case 0:
			l.hasten()
		case 1:
			l.flush()
		}
		time.Sleep(10 * relayLook)
	}
}

// relay gives a letter to the relay, and reports whether it has the 250.
func (l *load) relay(m *letter) bool {
	select {
	case <-l.w.answers():
	case <-l.over:
		return false
	}
	killed := l.w.ends()
	conn, err := smtp.Dial(l.w.relayAt)
	if err == nil {
		err = submit(conn, m)
		conn.Close()
	}
	book := l.w.receivers.book
	if err == nil {
		book.acknowledge(m)
		return true
	}
	if said, ok := errors.AsType[*smtp.SMTPError](err); ok {
		book.do(func() {
			if said.Code/100 != 4 {
				book.fault("letter %d was refused: %v", m.n, err)
			}
			book.deferred[said.Error()]++
		})
		return false
	}
	book.do(func() {
		if errors.Is(err, errBroken) {
			m.broken++
		}
	})
	select {
	case <-killed:
	case <-l.over:
	}
	return false
}

// clear has the gateway bring all it has to its end: first it may work, then what
// waits is tried again, and last what is held is released. It reports false when the
// gateway was killed before that.
func (l *load) clear() bool {
	for {
		var queue struct {
			Destinations []web.QueueDestination `json:"destinations"`
		}
		answer, ok := l.ask(func(g *client, ctx context.Context) error {
			return g.get(ctx, "/v1/queue/destinations", nil, &queue)
		})
		if !ok || answer != nil {
			return false
		}
		busy := false
		for _, d := range queue.Destinations {
			busy = busy || d.Leased > 0 || !d.Next.After(time.Now())
		}
		switch {
		case busy:
			time.Sleep(relayLook)
		case len(queue.Destinations) > 0:
			if !l.flush() {
				return false
			}
		default:
			if n, ok := l.releaseRelayed(); !ok || n == 0 {
				return ok
			}
		}
	}
}

// flush has all that waits tried now.
func (l *load) flush() (ok bool) {
	_, ok = l.ask(func(g *client, ctx context.Context) error {
		return g.post(ctx, "/v1/queue/retry", web.QueueRetry{All: true}, &web.QueueRetried{})
	})
	return ok
}

// hasten has the relay bring away all it has.
func (l *load) hasten() {
	if l.flush() {
		l.releaseRelayed()
	}
}

// releaseRelayed releases what is held of the relay's mail, and says of how many
// messages.
func (l *load) releaseRelayed() (n int, ok bool) {
	var page quarantine.Page
	answer, ok := l.ask(func(g *client, ctx context.Context) error {
		return g.get(ctx, "/v1/quarantine", map[string][]string{"text": {"relay"}, "limit": {"100"}}, &page)
	})
	if !ok || answer != nil {
		return 0, false
	}
	for _, m := range page.Messages {
		if !strings.HasPrefix(m.Subject, "relay ") {
			continue
		}
		n++
		_, ok := l.ask(func(g *client, ctx context.Context) error {
			return g.post(ctx, "/v1/quarantine/"+m.ID+"/release", web.Review{Anyway: true, Reason: "crash"}, &map[string]any{})
		})
		if !ok {
			return n, false
		}
	}
	return n, true
}
