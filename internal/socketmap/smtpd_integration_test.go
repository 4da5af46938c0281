//go:build integration

package socketmap

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSMTPD: a real Postfix asks for each recipient, and says to its client what it
// is told.
func TestSMTPD(t *testing.T) {
	o := openDoor(t, "tcp", "127.0.0.1:0")
	p := startPostfix(t, fmt.Sprintf(`smtpd_recipient_restrictions =
    check_policy_service { inet:%s, default_action=DUNNO, timeout=300s }
    permit_mynetworks
    reject_unauth_destination
`, o.address))
	say := dialogue(t, p.address)
	say("EHLO client.example", "250 ")
	say("MAIL FROM:<ann@example.net>", "250 2.1.0")
	say("RCPT TO:<bob@gmail.com>", "250 2.1.5")
	want := Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("127.0.0.1"), Helo: "client.example"}
	if got := o.preflight.last(t); got != want {
		t.Errorf("preflight is asked %+v, want %+v", got, want)
	}
	say("RCPT TO:<refuse@gmail.com>", "550 5.7.26 <refuse@gmail.com>: Recipient address rejected: Gmail would refuse this: no SPF, no DKIM")
	say("RCPT TO:<defer@gmail.com>", "450 4.7.26 <defer@gmail.com>: Recipient address rejected: DNS is silent")
	say("RCPT TO:<fault@gmail.com>", "250 2.1.5")
	say("QUIT", "221 ")
}

// dialogue returns what says a line, and wants the begin of the last line of the
// reply.
func dialogue(t *testing.T, address string) func(line, want string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	reply := func(line, want string) {
		t.Helper()
		c.SetDeadline(time.Now().Add(patience))
		var all []byte
		for b := make([]byte, 4096); ; {
			n, err := c.Read(b)
			if all = append(all, b[:n]...); err != nil {
				t.Fatalf("%s: %q, %v", line, all, err)
			}
			lines := strings.Split(strings.TrimSuffix(string(all), "\r\n"), "\r\n")
			last := lines[len(lines)-1]
			if !bytes.HasSuffix(all, []byte("\r\n")) || len(last) < 4 || last[3] != ' ' {
				continue
			}
			if !strings.HasPrefix(last, want) {
				t.Errorf("%s: %q, want %q", line, last, want)
			}
			return
		}
	}
	reply("greeting", "220 ")
	return func(line, want string) {
		t.Helper()
		fmt.Fprintf(c, "%s\r\n", line)
		reply(line, want)
	}
}
