package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// A server that is gone at any point of a session loses nothing, and gets nothing
// twice but what it may have taken: the message whose answer didn't come.
func TestDisconnects(t *testing.T) {
	for at, copies := range map[string]int{"greeting": 1, "EHLO": 1, "MAIL": 1, "RCPT TO:<bob@": 1, "RCPT TO:<carol@": 1, "DATA": 1, ".": 2} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t)
			gone := true
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
			b.answers(func(line string) string {
				if gone && strings.HasPrefix(line, at) {
					return "close"
				}
				return ""
			})
			m := w.queue(nil, "bob@dest.example", "carol@dest.example")
			w.pass()
			w.want(m, spool.Queued, "")
			for _, r := range w.recipients(m) {
				if r.Delivery.Answer == "" || r.Delivery.Next.Before(w.clock().Add(30*time.Second)) {
					t.Errorf("%+v", r.Delivery)
				}
			}
			b.change(func() { gone = false })
			w.until(2 * time.Hour)
			w.want(m, spool.Delivered, "250")
			if n := len(b.got()); n != copies || len(w.reports()) != 0 {
				t.Errorf("%d copies, want %d; reports %q", n, copies, w.reports())
			}
		})
	}
}

// A server that always breaks off after the dot gets the message as often as there are
// tries, and no oftener; then the sender has it back.
func TestDisconnectsForEver(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{".": "close"})})
	m := w.queue(nil, "bob@dest.example")
	w.until(6 * 24 * time.Hour)
	w.want(m, spool.Bounced, "final dot")
	tries := w.recipients(m)[0].Delivery.Tries
	if n := len(b.got()); n != tries || n > 50 || len(w.reports()) != 1 {
		t.Errorf("%d copies in %d tries, %d reports", n, tries, len(w.reports()))
	}
}

// 421 to everything for six days: few connections, and the message comes back with
// the server's words.
func TestBusyForEver(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: func(string) string { return "421 4.3.2 too busy" }})
	for range 4 {
		w.queue(nil, "bob@dest.example")
	}
	last := w.queue(nil, "carol@dest.example")
	w.until(6 * 24 * time.Hour)
	w.want(last, spool.Bounced, "421 4.3.2 too busy")
	if n, _ := b.count(); n > 130 || len(w.reports()) != 5 {
		t.Errorf("%d connections for 5 messages in six days, %d reports", n, len(w.reports()))
	}
}

// What is sent as one message is one for every receiver, also for one that takes
// \n.\n for the end, as this one does. What could be two isn't sent.
func TestNoSmuggling(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	const evil = "MAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@dest.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
	sent := map[string]string{} // what must arrive, by a mark
	endings := []string{""}
	for from := 0; len(endings) < 1+4+16+64; from++ {
		for _, c := range []string{"\r\n", ".", "\n", "\r"} {
			endings = append(endings, endings[from]+c)
		}
	}
	for i, ending := range endings {
		mark := fmt.Sprintf("mark-%d-", i)
		content := "Subject: " + mark + "\r\n\r\nHello" + ending + evil
		clean := !strings.ContainsAny(strings.ReplaceAll(content, "\r\n", ""), "\r\n")
		if clean {
			sent[mark] = content
		}
		m := w.queue(func(m *spool.Message) { m.Evidence = []byte(content) }, "bob@dest.example")
		w.pass()
		if clean {
			w.want(m, spool.Delivered, "250")
		} else {
			w.want(m, spool.Bounced, "")
		}
	}
	for _, m := range b.got() {
		mark := m.content[strings.Index(m.content, "mark-"):]
		mark = mark[:strings.Index(mark, "\n")]
		want := strings.ReplaceAll(sent[mark], "\r\n", "\n")
		if !strings.HasSuffix(m.content, "relay.example.com\n"+want) || m.from[:len("MAIL FROM:<ann@")] != "MAIL FROM:<ann@" || len(m.to) != 1 {
			t.Errorf("%s: %+v, want %q", mark, m, want)
		}
		delete(sent, mark)
	}
	if len(sent) != 0 {
		t.Errorf("%d messages didn't arrive, or arrived in parts", len(sent))
	}
}

// However the clock jumps, there is no storm: neither of connections nor of reports,
// and a mistake of an hour loses nothing.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	w.settings.DelayAfter = 4 * time.Hour
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"MAIL": "451 4.3.0 not now"})})
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	home := w.server("example.com", "mx.example.com", "203.0.113.7", 10, &box{})
	const each = 10
	for range each {
		w.queue(nil, "bob@dest.example")
		w.queue(nil, "bob@down.example")
	}
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 26 * time.Hour, -26 * time.Hour, 3 * time.Hour} {
		var before int
		b.change(func() { before = len(b.lines) })
		dialed := len(w.dialed)
		w.advance(jump)
		for range 5 { // as the engine does, minute by minute
			w.pass()
			w.advance(time.Minute)
		}
		b.change(func() {
			tries := 0
			for _, line := range b.lines[before:] {
				if strings.HasPrefix(line, "MAIL") {
					tries++
				}
			}
			if tries > 2*each {
				t.Errorf("after %v: %d tries for %d messages in five minutes", jump, tries, each)
			}
		})
		if n := len(w.dialed) - dialed; n > 20+2*each {
			t.Errorf("after %v: %d connections in five minutes", jump, n)
		}
	}
	if n := len(home.got()); n > 2*each {
		t.Errorf("%d reports about %d messages", n, 2*each)
	}
	b.answers(nil)
	w.boxes[addr("203.0.113.6")] = startBox(t, &box{})
	w.until(2 * 24 * time.Hour)
	counts, err := w.store.Count(t.Context())
	if err != nil || counts.States[spool.Queued] != 0 || counts.States[spool.Bounced] != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
}

// After a stop of four days, with much to deliver for a destination that is down, a
// worker makes one connection for each of its addresses.
func TestLongStop(t *testing.T) {
	w := newWorld(t)
	w.settings.PerDestination = 1 // of several, each may begin before another has failed
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	w.hosts["mx.down.example"] = append(w.hosts["mx.down.example"], addr("203.0.113.7"))
	var last *spool.Message
	for range 3 * claimSize {
		last = w.queue(nil, "bob@down.example")
	}
	w.advance(4 * 24 * time.Hour)
	w.engine(nil)
	w.pass()
	if n := len(w.dialed); n != 2 {
		t.Errorf("%d connections", n)
	}
	if d := w.recipients(last)[0].Delivery; d.Tries != 0 || d.Next.Before(w.clock().Add(50*time.Second)) || len(w.reports()) != 0 {
		t.Errorf("next try %v after this one; %d reports", d.Next.Sub(w.clock()), len(w.reports()))
	}
}
