//go:build integration

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// connect opens an SMTP session with a server, from a source address of choice;
// "" lets the system choose 127.0.0.1.
func connect(t *testing.T, server, source string) *smtp.Client {
	t.Helper()
	var d net.Dialer
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	conn, err := d.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClient(conn)
	t.Cleanup(func() { c.Close() })
	if err := c.Hello("client.test"); err != nil {
		t.Fatalf("EHLO: %v", err)
	}
	return c
}

// send passes one message in a session and returns the server's refusal, if any.
func send(c *smtp.Client, from string, to []string, message []byte) error {
	options := &smtp.MailOptions{UTF8: needsUTF8(from, to)}
	if ok, _ := c.Extension("8BITMIME"); ok {
		options.Body = smtp.Body8BitMIME
	}
	if err := c.Mail(from, options); err != nil {
		return fmt.Errorf("MAIL: %w", err)
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt, nil); err != nil {
			return fmt.Errorf("RCPT: %w", err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("DATA: %w", err)
	}
	if _, err := w.Write(message); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end of data: %w", err)
	}
	return nil
}

func needsUTF8(from string, to []string) bool {
	return strings.ContainsFunc(from+strings.Join(to, ""), func(r rune) bool { return r > 127 })
}

// sendChunk passes one message with BDAT, which needs no final line end.
func sendChunk(t *testing.T, server, from, to string, message []byte) {
	t.Helper()
	c, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := newLines(c)
	in.expect(t, "220")
	for _, step := range []struct{ say, want string }{
		{"EHLO client.test\r\n", "250"},
		{"MAIL FROM:<" + from + ">\r\n", "250"},
		{"RCPT TO:<" + to + ">\r\n", "250"},
		{fmt.Sprintf("BDAT %d LAST\r\n%s", len(message), message), "250"},
		{"QUIT\r\n", "221"},
	} {
		if _, err := c.Write([]byte(step.say)); err != nil {
			t.Fatal(err)
		}
		in.expect(t, step.want)
	}
}

// code returns the reply code of a refusal, 0 if there was none.
func code(err error) int {
	var refusal *smtp.SMTPError
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}

// compose returns a message in SMTP form: header fields, an empty line, a body.
func compose(from, to, subject, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: Ann <%s>\r\nTo: %s\r\nSubject: %s\r\n", from, to, subject)
	fmt.Fprintf(&b, "Message-ID: <%s@client.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", strings.ReplaceAll(subject, " ", "-"))
	b.WriteString(body)
	return b.Bytes()
}
