package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errAborted: the client gave the message up between two chunks.
var errAborted = errors.New("message given up")

// chunk is the BDAT command under way (RFC 3030 section 2). The library is told
// DATA in its place.
type chunk struct {
	taken bool  // the message under way comes in chunks
	left  int64 // bytes that are still to come
	last  bool
}

// firstChunk begins a message, if the library finds that one may begin.
func (c *conn) firstChunk() error {
	if err := c.readChunkSize(); err != nil {
		return err
	}
	c.chunk.taken = true
	c.give = []byte("DATA\r\n")
	return nil
}

// readChunkSize reads the argument of BDAT. One that can't be understood ends the
// session: nobody knows where the next command begins.
func (c *conn) readChunkSize() error {
	args := strings.Fields(c.line[len("BDAT"):])
	last := len(args) == 2 && strings.EqualFold(args[1], "LAST")
	if len(args) != 1 && !last {
		return c.bye(501, "5.5.4", "want BDAT size [LAST]")
	}
	size, err := strconv.ParseUint(args[0], 10, 40)
	if err != nil {
		return c.bye(501, "5.5.4", "size of BDAT is no number, or too large")
	}
	c.chunk.left, c.chunk.last = int64(size), last
	return nil
}

// nextChunk answers the chunk just read and waits for the next BDAT. Of other
// commands some give the message up; they are then for the library.
func (c *conn) nextChunk() error {
	c.say(250, "2.0.0", "chunk taken")
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		if err := c.command(line); err != nil {
			return c.fail(err)
		}
		line, c.give = c.give, nil
		switch c.verb {
		case "BDAT":
			return nil
		case "RSET", "QUIT", "EHLO", "HELO":
			c.pushed, c.commands = bytes.Clone(line), c.commands-1
			return errAborted
		case "NOOP":
			c.say(250, "2.0.0", "ok")
		default:
			if line != nil {
				c.say(503, "5.5.1", "in the middle of a message: want BDAT or RSET")
			}
		}
	}
}

// skipChunk reads past what is left of a refused chunk. One that is far too large
// ends the session instead.
func (c *conn) skipChunk() error {
	left := c.chunk.left
	c.chunk = chunk{}
	if left > c.server.Limits.Refused {
		return fmt.Errorf("a chunk of %d bytes to skip", left)
	}
	for left > 0 {
		n, err := c.in.Discard(int(min(left, readBuffer)))
		left -= int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
