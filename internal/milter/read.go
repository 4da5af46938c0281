package milter

import (
	"errors"
	"io"
	"time"
)

const (
	growStep   = 64 << 10  // a frame's memory grows as its bytes arrive, not as it claims
	keepBuffer = 128 << 10 // a larger frame's memory is not kept for the next
	keepIdle   = 16 << 10  // and between messages, which may be hours, none larger than this
)

var errTruncated = errors.New("connection closed in the middle of a frame")

// readFrame reads the next frame into c.frame and checks it. The first byte may
// take as long as idle, the rest FrameTimeout.
func (c *conn) readFrame(idle time.Duration) error {
	if c.in.Buffered() < headerSize+1 {
		if err := c.await(idle); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(c.server.FrameTimeout))
	}
	header, err := c.in.Peek(headerSize)
	if err != nil {
		return truncated(err)
	}
	n, err := frameLength(header)
	if err != nil {
		return err
	}
	if err := c.fill(headerSize + n); err != nil {
		return err
	}
	return c.frame.check()
}

// fill reads n bytes into c.frame.
func (c *conn) fill(n int) error {
	if cap(c.frame) > keepBuffer {
		c.frame = nil
	}
	c.frame = c.frame[:0]
	if c.in.Buffered() < n {
		c.SetReadDeadline(time.Now().Add(c.server.FrameTimeout))
	}
	for len(c.frame) < n {
		from := len(c.frame)
		step := min(n-from, growStep)
		c.frame = append(c.frame, make([]byte, step)...)
		if _, err := io.ReadFull(c.in, c.frame[from:]); err != nil {
			return truncated(err)
		}
	}
	return nil
}

// await waits for the first byte of a frame. While stopping it doesn't wait for a
// new message.
func (c *conn) await(idle time.Duration) error {
	if c.session != nil && c.session.message == nil && cap(c.frame) > keepIdle {
		c.frame = nil
	}
	if err := c.Await(time.Now().Add(idle)); err != nil {
		return err
	}
	_, err := c.in.Peek(1)
	return c.Came(err)
}

// truncated names the end of a connection in the middle of a frame.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}
