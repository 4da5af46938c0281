package smtpd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// chunks sends a message in pieces of a size, as Exchange does.
func (k *talk) chunks(message string, size int, emptyLast bool) string {
	k.t.Helper()
	for len(message) > size {
		k.send(fmt.Sprintf("BDAT %d\r\n%s", size, message[:size]))
		k.want("250 2.0.0")
		message = message[size:]
	}
	if emptyLast {
		k.send(fmt.Sprintf("BDAT %d\r\n%s", len(message), message))
		k.want("250 2.0.0")
		return k.say("BDAT 0 LAST", "")
	}
	k.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(message), message))
	return k.reply()
}

// winmail is a part as Exchange sends it: lines of base64, and 8-bit text.
func winmail() string {
	var b strings.Builder
	b.WriteString("Content-Type: application/ms-tnef; name=\"winmail.dat\"\r\n\r\neJ8+Ig\u00e4\u00f6\x80\xff\x00\r\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "AQYABwABAAAAAAABB4ABAAkAAAAgQjMzQTk1ODVFMzE5NUI0QUI3%06d\r\n", i)
	}
	b.WriteString("..\r\n.\r\n.x\r\n")
	return b.String()
}

// Many recipients over many domains, chunks of odd sizes, bytes untouched.
func TestExchange(t *testing.T) {
	r := start(t, nil)
	k := r.dial(t)
	k.want("220")
	k.say("EHLO EXCH01.corp.local", "250")
	message := letter + winmail()
	for _, size := range []int{1, 2, 3, 997, 4096, 65536, 1 << 20} {
		for _, emptyLast := range []bool{false, true} {
			text := message
			if size < 100 {
				text = letter + "\x80..\r\n.\r\n"
			}
			k.say("MAIL FROM:<ann@example.com> SIZE=123456 BODY=8BITMIME RET=HDRS ENVID=ex+2Bchange", "250")
			for i := range 100 {
				k.say(fmt.Sprintf("RCPT TO:<u%d@d%d.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;u%d@d%d.example", i, i%50, i, i%50), "250")
			}
			if got := k.chunks(text, size, emptyLast); !strings.HasPrefix(got, "250 2.0.0 taken") {
				t.Fatalf("chunks of %d: %q", size, got)
			}
			m, content := r.spool.last(t)
			if content != text || len(m.Recipients) != 100 || m.EnvelopeID != "ex+change" || m.Return != "HDRS" {
				t.Fatalf("chunks of %d: %d recipients, ENVID %q, content differs: %v", size, len(m.Recipients), m.EnvelopeID, content != text)
			}
			if string(r.gate.last(t).body) != content[strings.Index(content, "\r\n\r\n")+4:] {
				t.Fatalf("chunks of %d: the gate saw another body", size)
			}
		}
	}
}

func TestChunkCommands(t *testing.T) {
	for _, c := range []struct {
		name string
		send string
		want []string
	}{
		{"given up by RSET", "RSET\r\nNOOP\r\n", []string{"250 2.0.0 Session reset", "250"}},
		{"given up by EHLO", "EHLO x\r\nNOOP\r\n", []string{"250", "250"}},
		{"given up by QUIT", "QUIT\r\n", []string{"221", ""}},
		{"other commands", "NOOP\r\nMAIL FROM:<a@example.com>\r\nDATA\r\nSTARTTLS\r\nRSET\r\n", []string{"250 2.0.0 ok", "503", "503", "503", "250"}},
		{"no size", "BDAT\r\n", []string{"501 5.5.4", ""}},
		{"bad size", "BDAT 1x\r\n", []string{"501 5.5.4", ""}},
		{"negative size", "BDAT -1\r\n", []string{"501 5.5.4", ""}},
		{"huge size", "BDAT 99999999999999999999\r\n", []string{"501 5.5.4", ""}},
		{"odd word", "BDAT 1 FIRST\r\n", []string{"501 5.5.4", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, nil)
			k := r.talk(t)
			k.envelope()
			k.send("BDAT 5\r\nFrom:")
			k.want("250 2.0.0")
			k.send(c.send)
			for _, want := range c.want {
				if got := k.reply(); !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Fatalf("reply %q, want %q", got, want)
				}
			}
			if r.spool.count() != 0 {
				t.Error("a part of a message was taken")
			}
		})
	}
}

// After a message given up, the next one is whole.
func TestChunksAfterReset(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	k.envelope()
	k.send("BDAT 5\r\nFrom:")
	k.want("250")
	k.say("RSET", "250")
	k.envelope()
	if got := k.chunks(letter, 10, false); !strings.HasPrefix(got, "250 2.0.0 taken") {
		t.Fatal(got)
	}
	if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0 taken") {
		t.Fatal(got)
	}
	if _, content := r.spool.last(t); content != letter {
		t.Errorf("kept %q", content)
	}
}

// A chunk that is refused is read past, even if it looks like commands.
func TestRefusedChunk(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	evil := "MAIL FROM:<ann@example.com>\r\nRCPT TO:<eve@example.net>\r\nDATA\r\n" + letter + ".\r\n"
	k.send(fmt.Sprintf("BDAT %d LAST\r\n%sNOOP\r\n", len(evil), evil))
	k.want("503 5.5.1")
	k.want("250")
	if r.spool.count() != 0 {
		t.Error("a chunk was taken for commands")
	}
}

// A client that goes away in the middle leaves neither a message nor a goroutine.
func TestClientGone(t *testing.T) {
	for name, begin := range map[string]string{
		"DATA":           "DATA\r\n" + letter[:len(letter)-4],
		"DATA at a line": "DATA\r\n" + letter,
		"DATA at a dot":  "DATA\r\n" + letter + ".\r",
		"BDAT":           "BDAT 1000\r\n" + letter,
		"BDAT LAST":      "BDAT 1000 LAST\r\n" + letter,
		"between chunks": fmt.Sprintf("BDAT %d\r\n%s", len(letter), letter),
		"BDAT begun":     fmt.Sprintf("BDAT %d\r\n%sBDAT 10 LA", len(letter), letter),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			for range 5 {
				k := r.talk(t)
				k.envelope()
				k.send(begin)
				k.Close()
			}
			r.stop()
			if err := <-r.stopped; err != nil {
				t.Fatal(err)
			}
			if r.spool.count() != 0 {
				t.Error("half a message was taken")
			}
			// What reads chunks ends by itself when its connection is gone.
			eventually(t, "end of all goroutines", func() bool { return !working("(*Server).session") && !working("go-smtp") })
		})
	}
}

// working reports whether some goroutine is in a function.
func working(name string) bool {
	buf := make([]byte, 1<<20)
	return strings.Contains(string(buf[:runtime.Stack(buf, true)]), name)
}
