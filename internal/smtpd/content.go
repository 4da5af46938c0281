package smtpd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// content is the message under way, from DATA or from chunks: its text with every
// line ended by CRLF, to its end and no further. Its errors are replies.
type content struct {
	conn    *conn
	dots    dots
	endings endings
	*scratch
	clean []byte // not yet read
	size  int64
	ended bool  // the client sent all of it
	err   error // the first, again and again
}

// scratch is the memory that a message needs while it comes in. Messages use it one
// after the other: made anew for each, it would be most of what they leave behind.
type scratch struct {
	raw    []byte // what decode gives
	memory []byte // of content.clean
	in     *bufio.Reader
	body   [bodyBuffer]byte
}

// newScratch returns memory for a message; end gives it back.
func (s *Server) newScratch() *scratch {
	if used, ok := s.scratches.Get().(*scratch); ok {
		return used
	}
	return &scratch{in: bufio.NewReaderSize(nil, bodyBuffer)}
}

// begin reads the message that the library asked for.
func (c *conn) begin() *content {
	c.door.Busy(true)
	c.deadline = time.Now().Add(c.server.Limits.Message)
	c.content = &content{conn: c, scratch: c.server.newScratch()}
	c.content.in.Reset(c.content)
	return c.content
}

// end reads past what the client still sends of the message, and has the library
// find its end.
func (c *conn) end() {
	t := c.content
	c.mute = errors.Is(t.err, errAborted)
	if !c.over && !c.mute {
		if err := t.skip(); err != nil {
			c.fail(err)
		}
	}
	c.content = nil
	t.in.Reset(nil)
	c.server.scratches.Put(t.scratch)
	c.give = []byte(".\r\n")
	c.door.Busy(false)
}

// Read implements io.Reader.
func (t *content) Read(p []byte) (int, error) {
	for len(t.clean) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.err = t.fill()
	}
	n := copy(p, t.clean)
	t.clean = t.clean[n:]
	return n, nil
}

// fill reads and cleans the next piece.
func (t *content) fill() error {
	raw, err := t.piece()
	if err != nil {
		return t.lost(err)
	}
	t.memory = t.endings.append(t.memory[:0], raw)
	if t.ended {
		t.memory = t.endings.finish(t.memory)
	}
	t.size += int64(len(t.memory))
	if err := t.refused(); err != nil {
		return err
	}
	t.clean = t.memory
	if t.ended {
		return io.EOF
	}
	return nil
}

// refused says what is wrong with the text so far.
func (t *content) refused() error {
	limits := &t.conn.server.Limits
	switch {
	case t.endings.bare && !t.conn.listener.Normalise:
		return answer(550, "5.6.11", "the message holds a CR or LF alone; lines must end with CR LF")
	case t.endings.longest > limits.Line:
		return answer(554, "5.6.0", "a line of the message is too long, at most %d bytes", limits.Line)
	case t.size+t.conn.chunk.left > limits.Size:
		return answer(552, "5.3.4", "message too large, at most %d bytes", limits.Size)
	}
	return nil
}

// lost is the reply, if anyone still hears it, when the client falls silent.
func (t *content) lost(err error) error {
	if errors.Is(err, errAborted) {
		return err
	}
	t.conn.fail(err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return answer(421, "4.4.2", "waited too long for the message")
	}
	return fmt.Errorf("connection lost in the middle of a message: %w", err)
}

// piece returns the next bytes of the text as they came, less the stuffing; ended
// is set with the last ones, and never because the connection ended.
func (t *content) piece() ([]byte, error) {
	c := t.conn
	if c.chunk.taken && c.chunk.left == 0 {
		t.ended = c.chunk.last
		if t.ended {
			return nil, nil
		}
		return nil, c.nextChunk()
	}
	if _, err := c.in.Peek(1); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	raw, err := c.in.Peek(c.in.Buffered())
	if err != nil {
		return nil, err
	}
	n := len(raw)
	if c.chunk.taken {
		n = int(min(int64(n), c.chunk.left))
		c.chunk.left -= int64(n)
		t.raw = append(t.raw[:0], raw[:n]...)
	} else {
		t.raw, n = t.dots.decode(t.raw[:0], raw)
		t.ended = t.dots == atEnd
	}
	_, err = c.in.Discard(n)
	return t.raw, err
}

// skip reads past the rest: of DATA to its end, of chunks the present one.
func (t *content) skip() error {
	if t.conn.chunk.taken {
		return t.conn.skipChunk()
	}
	for n := int64(0); !t.ended; {
		raw, err := t.piece()
		if err != nil {
			return err
		}
		if n += int64(len(raw)); n > t.conn.server.Limits.Refused {
			return fmt.Errorf("%d bytes of a refused message, and no end", n)
		}
	}
	return nil
}
