package smtpd

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"time"

	"mailgate/internal/door"
)

// fullChunk is how many bytes a chunk must have not to count as a command: Exim sends
// 8 KiB in each, and a message has as many as it needs.
const fullChunk = 1 << 10

// next makes the next line ready to be read by the library: a command that
// concerns it, or the end of the message it has just been through.
func (c *conn) next() error {
	if c.over {
		return errOver
	}
	if err := c.skipChunk(); err != nil {
		return c.lost(err)
	}
	for len(c.give) == 0 {
		line, err := c.readLine()
		if err != nil {
			return c.lost(err)
		}
		if c.in334 {
			c.in334 = false
			c.give = line
			return nil
		}
		if err := c.command(line); err != nil {
			return err
		}
	}
	return nil
}

// readLine returns the next line with its end. It is good until the next read.
func (c *conn) readLine() ([]byte, error) {
	if line := c.pushed; line != nil {
		c.pushed = nil
		return line, nil
	}
	if c.content == nil { // in the middle of a message, its own deadline goes on
		if c.door.Draining() {
			return nil, door.ErrDraining
		}
		c.deadline = earlier(c.expiry, time.Now().Add(c.server.Limits.Idle))
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		if len(line) == readBuffer {
			err = errLong
		}
		return nil, err
	}
	return line, nil
}

// command does what concerns the connection itself and leaves the rest to the
// library.
func (c *conn) command(line []byte) error {
	limits := &c.server.Limits
	text, whole := bytes.CutSuffix(line, []byte("\r\n"))
	if !whole && c.listener.Normalise {
		text, whole = bytes.CutSuffix(line, []byte("\n"))
	}
	if c.commands++; c.commands > limits.Commands {
		return c.bye(421, "4.7.0", "too many commands")
	}
	switch {
	case c.errors > limits.Errors:
		return c.bye(421, "4.7.0", "too many errors")
	case !whole:
		return c.bye(500, "5.5.2", "a command must end with CR LF")
	case bytes.ContainsFunc(text, isControl):
		return c.bye(500, "5.5.2", "control character in a command")
	}
	c.line, c.verb = string(text), verb(text)
	switch {
	case len(text) >= 8 && strings.EqualFold(c.line[:8], "STARTTLS"): // as the library knows it
		return c.startTLS()
	case c.verb == "BDAT":
		err := c.firstChunk()
		if c.chunk.left >= fullChunk {
			c.commands--
		}
		return err
	case c.verb == "HELO", c.verb == "EHLO":
		c.helo = c.verb
	case c.verb == "RCPT" && strings.EqualFold(pathOf(c.line), "<postmaster>"):
		c.line = withDomain(c.line, string(c.server.Name))
		line = []byte(c.line + "\r\n")
	}
	c.give = line
	return nil
}

// verb is the command as the library will understand it.
func verb(line []byte) string {
	if len(line) == 4 || len(line) > 4 && line[4] == ' ' {
		return strings.ToUpper(string(line[:4]))
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// startTLS ends the conversation, for another to begin over TLS.
func (c *conn) startTLS() error {
	switch {
	case len(c.line) > len("STARTTLS"):
		c.say(501, "5.5.4", "STARTTLS takes no argument")
	case c.content != nil:
		c.say(503, "5.5.1", "in the middle of a message: want BDAT or RSET")
	case c.tls != nil:
		c.say(503, "5.5.1", "TLS is already on")
	case !c.listener.offersTLS():
		c.say(502, "5.5.1", "no TLS here")
	case c.in.Buffered() > 0:
		c.server.Metrics.failed("injection")
		c.log.Warn("smtpd: data sent along with STARTTLS, closing")
		return c.bye(554, "5.5.1", "nothing may follow STARTTLS before TLS")
	default:
		c.say(220, "2.0.0", "begin TLS")
		c.upward, c.over = true, true
		return errOver
	}
	return nil
}

// lost ends the session after a read that failed, with a last word where one helps.
func (c *conn) lost(err error) error {
	switch {
	case c.err != nil, err == errOver:
		return err
	case errors.Is(err, door.ErrDraining):
		return c.bye(421, "4.3.2", "stopping, try again soon")
	case errors.Is(err, errLong):
		return c.bye(500, "5.5.6", "line too long")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.say(421, "4.4.2", "waited too long")
	}
	return c.fail(err)
}

// bye answers and ends the session.
func (c *conn) bye(code int, enhanced, text string) error {
	c.say(code, enhanced, text)
	c.over, c.said = true, true
	return errOver
}
