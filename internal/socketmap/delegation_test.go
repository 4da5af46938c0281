package socketmap

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	for _, c := range []struct {
		line string
		want Ask
	}{
		{"x=", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example", User: "ann"}},
		{"sender=", Ask{Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example", User: "ann"}},
		{"sender=a b=c@example.net", Ask{Sender: "a b=c@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example", User: "ann"}},
		{"client_address=unknown", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Helo: "client.example", User: "ann"}},
		{"client_address=2001:db8::7", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("2001:db8::7"), Helo: "client.example", User: "ann"}},
		{"client_address=::ffff:192.0.2.8", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.8"), Helo: "client.example", User: "ann"}},
		{"helo_name=", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), User: "ann"}},
		{"sasl_username=", Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example"}},
	} {
		run(t, nil, func(r *rig) {
			r.come().ask(rcpt("recipient=bob@gmail.com", c.line), "action=DUNNO\n\n")
			if got := r.preflight.last(t); got != c.want {
				t.Errorf("%s: preflight is asked %+v, want %+v", c.line, got, c.want)
			}
		})
	}
}

// A request without its last bytes isn't there yet, wherever it is cut; and it has
// no more lines and no longer values than it may have.
func FuzzDelegated(f *testing.F) {
	f.Add([]byte(rcpt("recipient=bob@gmail.com")))
	for _, s := range []string{"a=b\n\n", "\n", "a\n\n", "=\n\n", "a=\n=b\n\n", "EHLO x\r\n\r\n", "a=b\n\nc=d\n\n", strings.Repeat("a=b\n", 21) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit, most = 1000, 20
		lines, size, err := delegated(b, limit)
		if err != nil && (size != 0 || lines != nil || !errors.Is(err, errMalformed)) {
			t.Fatalf("%q, %d, %v", lines, size, err)
		}
		if err != nil || size == 0 {
			if err == nil && len(b) >= limit {
				t.Fatalf("wants more than %d bytes", len(b))
			}
			return
		}
		if size > limit || !bytes.Equal(append(bytes.Clone(lines), '\n'), b[:size]) {
			t.Fatalf("%q of %q", lines, b[:size])
		}
		for cut := range size {
			if cut > 0 && b[0] == '\n' {
				continue
			}
			if l, n, err := delegated(b[:cut], limit); l != nil || n != 0 || err != nil {
				t.Fatalf("cut at %d: %q, %d, %v", cut, l, n, err)
			}
		}
		a, err := parseAttributes(lines, most)
		switch {
		case err != nil && !errors.Is(err, errMalformed):
			t.Fatal(err)
		case err == nil && bytes.Count(lines, []byte("\n")) > most:
			t.Fatal("too many lines")
		case strings.Contains(a.sender+a.recipient, "\n"):
			t.Fatalf("%+v", a)
		}
	})
}
