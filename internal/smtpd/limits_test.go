package smtpd

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/doortest"
	"mailgate/internal/spool"
)

// sized is a message of exactly n bytes.
func sized(n int) string {
	const line = 80
	b := strings.Builder{}
	b.WriteString(head)
	for n-b.Len() > 2*line {
		b.WriteString(strings.Repeat("x", line-2) + "\r\n")
	}
	return b.String() + strings.Repeat("y", n-b.Len()-2) + "\r\n"
}

func TestSize(t *testing.T) {
	const most = 300_000
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Size = most })
	for _, way := range []string{"DATA", "one chunk", "chunks"} {
		for _, c := range []struct {
			n    int
			want string
		}{{most - 1, "250 2.0.0 taken"}, {most, "250 2.0.0 taken"}, {most + 1, "552 5.3.4"}, {2 * most, "552 5.3.4"}} {
			t.Run(fmt.Sprintf("%s of %d", way, c.n), func(t *testing.T) {
				k := r.talk(t)
				var got string
				switch message := sized(c.n); way {
				case "DATA":
					got = k.deliver(message)
				case "one chunk":
					k.envelope()
					got = k.chunks(message, c.n, false)
				default:
					k.envelope()
					for got = "250"; len(message) > 0 && got[:3] == "250"; {
						piece := message[:min(len(message), 100_000)]
						message = message[len(piece):]
						last := ""
						if message == "" {
							last = " LAST"
						}
						k.send(fmt.Sprintf("BDAT %d%s\r\n%s", len(piece), last, piece))
						got = k.reply()
					}
				}
				if !strings.HasPrefix(got, c.want) {
					t.Errorf("reply %q, want %s", got, c.want)
				}
				k.say("NOOP", "250") // the session goes on
			})
		}
	}
	r.spool.mu.Lock()
	defer r.spool.mu.Unlock()
	for i, m := range r.spool.taken {
		if m.Size != int64(len(r.spool.bytes[i])) || m.Size > most {
			t.Errorf("size %d of %d bytes", m.Size, len(r.spool.bytes[i]))
		}
	}
}

// A refused message that doesn't end is not read for ever.
func TestEndless(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Size, c.Limits.Refused = 100_000, 300_000 })
	for _, begin := range []string{"DATA", "BDAT 4000000000"} {
		k := r.talk(t)
		k.envelope()
		k.send(begin + "\r\n")
		go func() {
			for {
				if _, err := io.WriteString(k.Conn, strings.Repeat(strings.Repeat("x", 98)+"\r\n", 100)); err != nil {
					return
				}
			}
		}()
		for k.reply() != "" { // the reply may be lost, the end isn't
		}
	}
	if r.spool.count() != 0 {
		t.Error("something was taken")
	}
}

func TestLines(t *testing.T) {
	const most = 2_000
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Line = most })
	k := r.talk(t)
	for n, want := range map[int]string{most: "250", most + 1: "554 5.6.0"} {
		if got := k.deliver(head + strings.Repeat("x", n) + "\r\n"); !strings.HasPrefix(got, want) {
			t.Errorf("line of %d: %q", n, got)
		}
	}
	for n, noted := range map[int]bool{998: false, 999: true} {
		k.deliver(head+strings.Repeat("x", n)+"\r\n", "hold@gmail.com")
		m, _ := r.spool.last(t)
		if got := strings.Contains(strings.Join(m.Recipients[0].Codes, " "), "line-too-long"); got != noted {
			t.Errorf("line of %d: codes %v", n, m.Recipients[0].Codes)
		}
	}
	k.say("NOOP "+strings.Repeat("x", readBuffer-len("NOOP \r\n")-1), "250")
	k.send("NOOP " + strings.Repeat("x", readBuffer))
	k.want("500 5.5.6")
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// Lines of a million bytes, and of a message over what is kept in memory.
func TestDefaultLine(t *testing.T) {
	r := start(t, nil)
	message := head + strings.Repeat("x", 1_000_000) + "\r\n"
	if got := r.talk(t).deliver(message); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	if _, content := r.spool.last(t); content != message {
		t.Error("content differs")
	}
	if got := r.talk(t).deliver(head + strings.Repeat("x", 1_000_001) + "\r\n"); !strings.HasPrefix(got, "554 5.6.0") {
		t.Error(got)
	}
}

func TestHeaderLimits(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Fields, c.Limits.Header, c.Limits.Hops = 100, 10_000, 50 })
	k := r.talk(t)
	from := "From: ann@example.com\r\n"
	for _, c := range []struct {
		name, header, want string
	}{
		{"fields", from + strings.Repeat("a: b\r\n", 99), "250"},
		{"more fields", from + strings.Repeat("a: b\r\n", 100), "552 5.3.4"},
		{"bytes", from + "a: " + strings.Repeat("x", 10_000-len(from)-len("a: \r\n\r\n")) + "\r\n", "250"},
		{"more bytes", from + "a: " + strings.Repeat("x", 10_001-len(from)-len("a: \r\n\r\n")) + "\r\n", "552 5.3.4"},
		{"hops", from + strings.Repeat("received: x\r\n", 50), "250"},
		{"more hops", from + strings.Repeat("received: x\r\n", 51), "554 5.4.6"},
	} {
		if got := k.deliver(c.header + "\r\nx\r\n"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %s", c.name, got, c.want)
		}
	}
}

func TestRecipients(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Recipients = 3 })
	k := r.talk(t)
	k.envelope("a@gmail.com", "b@gmail.com", "c@gmail.com", "b@gmail.com")
	k.say("RCPT TO:<d@gmail.com>", "452 4.5.3")
	k.say("DATA", "354")
	k.send(letter + ".\r\n")
	k.want("250")
	if m, _ := r.spool.last(t); len(m.Recipients) != 3 {
		t.Errorf("%d recipients", len(m.Recipients))
	}
}

func TestCommandsAndErrors(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Commands, c.Limits.Errors = 20, 5 })
	k := r.talk(t)
	for range 19 {
		k.say("NOOP", "250")
	}
	k.say("NOOP", "421 4.7.0 too many commands")
	k.closed()

	k = r.talk(t)
	for range 6 {
		k.say("RCPT TO:<bob@gmail.com>", "503")
	}
	k.say("NOOP", "421 4.7.0 too many errors")
	k.closed()

	k = r.talk(t)
	for range 10 { // a message sets both back
		k.say("RCPT TO:<bob@gmail.com>", "503")
		k.deliver(letter)
	}
	k = r.talk(t)
	for range 4 { // the library counts to four
		k.send("XXXX\r\n")
	}
	for range 4 {
		k.want("500 5.5.2")
	}
	k.want("421 4.7.0 too many errors")
	k.closed()
}

func TestSessions(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Sessions, c.Limits.SessionsPerClient = 10, 2 })
	a, b := r.talk(t), r.talk(t)
	for range 3 {
		k := r.dial(t)
		k.want("421 4.7.0 mx1.example.com too many connections from your address")
		k.closed()
	}
	a.say("QUIT", "221")
	a.closed()
	eventually(t, "place for another", func() bool { return strings.HasPrefix(r.dial(t).reply(), "220") })
	b.say("NOOP", "250")

	r = start(t, func(c *Config, _ *Listener) { c.Limits.Sessions = 1 })
	r.talk(t)
	k := r.dial(t)
	k.want("421 4.3.2 mx1.example.com too many connections")
	k.closed()
}

// localPipes is a listener for clients of this machine.
func localPipes() *doortest.Pipes {
	p := doortest.NewPipes()
	p.Peer = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1025}
	return p
}

// Whoever is slow is sent away, at each stage.
func TestSlow(t *testing.T) {
	const short = time.Minute
	for _, c := range []struct {
		name   string
		limits Limits
		send   string
		drip   string // a byte at a time, for ever
		want   string
	}{
		{"silent", Limits{Idle: short}, "", "", "421 4.4.2"},
		{"idle", Limits{Idle: short}, "NOOP\r\n", "", "421 4.4.2"},
		{"half a command", Limits{Idle: short}, "NOO", "", "421 4.4.2"},
		{"a command byte by byte", Limits{Idle: short}, "NOOP ", "x", "421 4.4.2"},
		{"silent in DATA", Limits{Read: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n" + letter, "", "421 4.4.2"},
		{"DATA byte by byte", Limits{Message: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n" + letter, "x", "421 4.4.2"},
		{"refused DATA byte by byte", Limits{Message: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n\r\r", "x", "550 5.6.11"},
		{"silent in BDAT", Limits{Read: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nBDAT 1000 LAST\r\n" + letter, "", "421 4.4.2"},
		{"BDAT byte by byte", Limits{Message: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nBDAT 1000000 LAST\r\n" + letter, "x", "421 4.4.2"},
		{"between chunks", Limits{Read: short}, "MAIL FROM:<>\r\nRCPT TO:<bob@gmail.com>\r\nBDAT 2\r\nab", "", "421 4.4.2"},
		{"session", Limits{Session: short}, "NOOP\r\n", "", "421 4.4.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(config *Config, l *Listener) { config.Limits, l.Listener = c.limits, localPipes() })
				began := time.Now()
				k := r.dial(t)
				k.want("220")
				k.send("EHLO x\r\n" + c.send)
				if c.drip != "" {
					go k.drip(c.drip, short/10)
				}
				var last string
				for got := k.reply(); got != ""; got = k.reply() {
					last = got
				}
				if !strings.HasPrefix(last, c.want) {
					t.Errorf("last reply %q, want %s", last, c.want)
				}
				if took := time.Since(began); took != short {
					t.Errorf("sent away after %v in the bubble's time", took)
				}
				if r.spool.count() != 0 {
					t.Error("something was taken")
				}
				time.Sleep(short) // whoever still sends hears of it
			})
		})
	}
}

// drip sends something again and again, until the server has had enough.
func (k *talk) drip(what string, pause time.Duration) {
	for {
		time.Sleep(pause)
		if _, err := io.WriteString(k.Conn, what); err != nil {
			return
		}
	}
}

// The rest of a body is never taken for commands, even when the client wakes up.
func TestSlowThenCommands(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Read = 50 * time.Millisecond })
	k := r.talk(t)
	k.data()
	k.send(letter)
	k.want("421 4.4.2")
	io.WriteString(k.Conn, "RSET\r\nMAIL FROM:<eve@example.net>\r\nRCPT TO:<bob@gmail.com>\r\nDATA\r\n"+letter+".\r\n")
	k.closed()
	if r.spool.count() != 0 {
		t.Error("something was taken")
	}
}

// A message may take longer than a command, as long as it goes on.
func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *Config, l *Listener) { c.Limits.Idle, l.Listener = time.Minute, localPipes() })
		k := r.talk(t)
		k.data()
		k.send(letter)
		for range 10 {
			time.Sleep(30 * time.Second)
			k.send("more\r\n")
		}
		k.send(".\r\n")
		k.want("250 2.0.0 taken")
		k.envelope()
		k.send("BDAT 10000 LAST\r\n" + letter)
		for range 10 {
			time.Sleep(30 * time.Second)
			k.send("more\r\n")
		}
		k.send(strings.Repeat("x", 10000-len(letter)-60))
		k.want("250 2.0.0 taken")
	})
}

// heap keeps nothing, and notes how much memory there is in use.
type heap struct{ inUse uint64 }

func (h *heap) Take(_ context.Context, m *spool.Message, content io.Reader) error {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	h.inUse, m.ID = stats.HeapAlloc, "q7f3a"
	_, err := io.Copy(io.Discard, content)
	return err
}

// A message costs bounded memory, whatever its size.
func TestMemory(t *testing.T) {
	store := &heap{}
	r := start(t, func(c *Config, _ *Listener) { c.Custody, c.Gate = store, openGate{} })
	k := r.talk(t)
	large := []byte(sized(10<<20) + ".\r\n") // before anything is measured, and to its end
	k.deliver(letter)
	before := store.inUse
	k.data()
	if _, err := k.Write(large); err != nil {
		t.Fatal(err)
	}
	k.want("250")
	runtime.KeepAlive(large)
	if more := int64(store.inUse) - int64(before); more > 2<<20 {
		t.Errorf("%d bytes more for a message of 10 MiB", more)
	}
}
