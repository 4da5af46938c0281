//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestSign: mail of a trusted client leaves with one good signature per key, RSA
// and Ed25519, whatever its form.
func TestSign(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test"}})
	const from = "ann@good.test"

	bodies := map[string]string{
		"plain":          "Hello.\r\n",
		"8bit":           "Grüße, 你好, \xff\xfe raw bytes\r\n",
		"dots":           ".\r\n..\r\n.leading\r\n...\r\n",
		"empty":          "",
		"empty lines":    "\r\n\r\n\r\n",
		"trailing space": "a  \t \r\n \t\r\nb\t\tc\r\n\r\n\r\n",
		"many lines":     strings.Repeat("0123456789 abcdefghij\r\n", 20_000),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			to := strings.ReplaceAll(name, " ", "-") + "@gmail.com"
			message := compose(from, to, name, body)
			w.submit(t, from, []string{to}, message)
			w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
		})
	}

	t.Run("no final line end", func(t *testing.T) {
		const to = "unfinished@gmail.com"
		message := compose(from, to, "unfinished", "first\r\nlast")
		sendChunk(t, w.postfix.address, from, to, message)
		w.wantSigned(t, "good.test", w.receiver.only(t, to), append(message, "\r\n"...))
	})

	t.Run("folded and repeated header fields", func(t *testing.T) {
		const to = "header@gmail.com"
		message := compose(from, to, "folded", "Hello.\r\n")
		message = append([]byte("Keywords: one,\r\n\ttwo,\r\n    three\r\nX-Empty:\r\nX-No-Space:value\r\nX-Trailing: blank \t\r\nReceived: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\r\nReceived: from c by a; Sat, 21 Nov 2026 11:00:00 +0000\r\n"), message...)
		w.submit(t, from, []string{to}, message)
		w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
	})

	t.Run("SMTPUTF8", func(t *testing.T) {
		const sender, to = "änn@good.test", "佐藤@gmail.com"
		message := compose(sender, to, "grüße", "Grüße.\r\n")
		w.submit(t, sender, []string{to}, message)
		w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
	})

	t.Run("null sender", func(t *testing.T) {
		const to = "bounce@gmail.com"
		message := compose(from, to, "a bounce", "Not delivered.\r\n")
		w.submit(t, "", []string{to}, message)
		w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
	})

	t.Run("local submission", func(t *testing.T) {
		const to = "pickup@gmail.com"
		message := compose(from, to, "pickup", "first\r\n.\r\nlast")
		w.postfix.sendmail(t, from, to, bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")))
		w.wantSigned(t, "good.test", w.receiver.only(t, to), append(message, "\r\n"...))
	})

	t.Run("50 MB", func(t *testing.T) {
		const to = "large@gmail.com"
		message := compose(from, to, "large", strings.Repeat(strings.Repeat("QWxs", 19)+"\r\n", 50<<20/78))
		w.submit(t, from, []string{to}, message)
		w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
	})
}

// TestSession: a session goes on after a message that was refused, and after one
// that was held.
func TestSession(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test", "bad.test"}, publish: func(d domain) []string {
		if d.name == "bad.test" {
			return unauthenticated(d)
		}
		return complete(d)
	}})
	c := connect(t, w.postfix.address, "")
	for i := range 3 {
		to := fmt.Sprintf("session%d@gmail.com", i)
		good := compose("ann@good.test", to, to, "Hello.\r\n")
		if err := send(c, "ann@good.test", []string{to}, good); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		w.wantSigned(t, "good.test", w.receiver.only(t, to), good)

		twoAuthors := append([]byte("From: <eve@good.test>\r\n"), good...)
		if err := send(c, "ann@good.test", []string{"refused@gmail.com"}, twoAuthors); code(err)/100 != 5 {
			t.Errorf("two From fields: %v, want a permanent refusal", err)
		}
		if err := c.Reset(); err != nil {
			t.Fatalf("RSET: %v", err)
		}
		if err := send(c, "ann@bad.test", []string{"held@gmail.com"}, compose("ann@bad.test", "held@gmail.com", "held", "Hello.\r\n")); err != nil {
			t.Errorf("message to be held: %v", err)
		}
	}
	if n := len(w.gate.held(t)); n != 3 {
		t.Errorf("%d messages held, want 3", n)
	}
	for _, to := range []string{"refused@gmail.com", "held@gmail.com"} {
		if n := len(w.receiver.arrived(to)); n != 0 {
			t.Errorf("%d messages arrived for %s", n, to)
		}
	}
}

// TestNoOracle: only trusted clients get a signature, and only for domains that
// have a key here.
func TestNoOracle(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test"}})

	t.Run("untrusted client", func(t *testing.T) {
		const to = "untrusted@other.test"
		message := compose("ann@good.test", to, "untrusted", "Hello.\r\n")
		if err := send(connect(t, w.postfix.address, address(9, 9)), "ann@good.test", []string{to}, message); err != nil {
			t.Fatal(err)
		}
		wantUnsigned(t, w.receiver.only(t, to), message)
	})

	t.Run("another domain", func(t *testing.T) {
		const to = "foreign@other.test"
		message := compose("ann@stranger.test", to, "foreign", "Hello.\r\n")
		w.submit(t, "ann@good.test", []string{to}, message)
		wantUnsigned(t, w.receiver.only(t, to), message)
	})
}
