package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// submission is a load on an SMTP server: messages of a size, over some sessions at
// the same time. MAIL, RCPT and DATA go out together (RFC 2920), as servers do it.
type submission struct {
	to       string
	sessions int
	messages int
	size     int  // bytes of a message, about
	single   bool // a session for each message; otherwise each session sends its share
	first    int  // number of the first message; each has its own, see numberField
}

// numberField is the header field with a message's number.
const numberField = "X-Number: "

// stalled bounds each command, answer included.
const stalled = time.Minute

// run submits all of it, and says how long that took. Whatever isn't answered 250
// is an error.
func (s *submission) run(ctx context.Context) (time.Duration, error) {
	body := bodyOf(s.size)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range s.sessions {
		group.Go(func() error {
			for {
				more, err := s.session(ctx, &next, body)
				if err != nil || !more {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return time.Since(began), err
}

// session is one SMTP session; more says that another one has work.
func (s *submission) session(ctx context.Context, next *atomic.Int64, body string) (more bool, err error) {
	n := next.Add(1)
	if n > int64(s.messages) {
		return false, nil
	}
	c, err := connect(ctx, s.to)
	if err != nil {
		return false, err
	}
	defer c.Close()
	for ; n <= int64(s.messages); n = next.Add(1) {
		if err := c.submit(s.first+int(n)-1, body, s.single); err != nil || s.single {
			return true, err
		}
	}
	return false, c.command("QUIT\r\n", "221")
}

// talk is a client's side of an SMTP session.
type talk struct {
	net.Conn
	in *bufio.Reader
}

func connect(ctx context.Context, to string) (*talk, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	t := &talk{conn, bufio.NewReader(conn)}
	err = t.expect("220")
	if err == nil {
		err = t.command("EHLO client."+domain+"\r\n", "250")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

const envelope = "MAIL FROM:<ann@" + domain + ">\r\nRCPT TO:<bob@" + receiver + ">\r\nDATA\r\n"

// submit sends one message, and with it QUIT if it is the last.
func (t *talk) submit(number int, body string, last bool) error {
	if err := t.command(envelope, "250", "250", "354"); err != nil {
		return err
	}
	text := messageOf(number, body) + ".\r\n"
	if last {
		return t.command(text+"QUIT\r\n", "250", "221")
	}
	return t.command(text, "250")
}

// command sends text and reads so many answers.
func (t *talk) command(text string, want ...string) error {
	if err := t.SetDeadline(time.Now().Add(stalled)); err != nil {
		return err
	}
	if _, err := t.Write([]byte(text)); err != nil {
		return err
	}
	for _, code := range want {
		if err := t.expect(code); err != nil {
			return err
		}
	}
	return nil
}

func (t *talk) expect(code string) error {
	for {
		line, err := t.in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case !strings.HasPrefix(line, code):
			return fmt.Errorf("answer %q in place of %s", line, code)
		case len(line) < 4:
			return errors.New("answer without text")
		case line[3] != '-':
			return nil
		}
	}
}

// messageOf is a message with its number, in CRLF form.
func messageOf(number int, body string) string {
	n := strconv.Itoa(number)
	return "From: Ann <ann@" + domain + ">\r\nTo: Bob <bob@" + receiver + ">\r\nSubject: Report " + n +
		"\r\nDate: Sat, 21 Nov 2026 09:30:00 +0000\r\nMessage-ID: <" + n + "@client." + domain + ">\r\n" +
		numberField + n + "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n" + body
}

// bodyOf makes a body for a message of size bytes in all.
func bodyOf(size int) string {
	line := strings.Repeat("All work and no play. ", 4)[:76] + "\r\n"
	header := len(messageOf(1_000_000, ""))
	return strings.Repeat(line, max(1, (size-header)/len(line)))
}
