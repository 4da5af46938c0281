package socketmap

import (
	"errors"
	"io"
	"os"
	"time"

	"mailgate/internal/door"
)

// input is what came from a client and wasn't answered yet.
type input struct {
	c          *door.Conn
	idle, read time.Duration
	max        int // bytes that are kept, which is enough for one request

	buf        []byte
	begin, end int       // of what is in buf
	due        time.Time // when the request that began must be there; zero: none began
}

// roomAtFirst is enough for what Postfix asks; input grows to max if it must.
const roomAtFirst = 2048

// frameRoom is what a netstring has around its payload, and more.
const frameRoom = 32

func newInput(c *door.Conn, l Limits) *input {
	size := l.Request + frameRoom
	return &input{c: c, idle: l.Idle, read: l.Read, max: size, buf: make([]byte, min(roomAtFirst, size))}
}

// data is what came. It is valid until more is called.
func (in *input) data() []byte { return in.buf[in.begin:in.end] }

// take removes a request that is dealt with.
func (in *input) take(n int) {
	in.begin += n
	in.due = time.Time{}
}

// errGone and errIdle are why a conversation ends as it should.
var (
	errGone = errors.New("the client hung up")
	errIdle = errors.New("the client asked nothing for long")
)

// more waits for the next bytes: as long as a client may be idle, or until the
// request that began must be there.
func (in *input) more() error {
	in.makeRoom()
	idle := in.begin == in.end
	if err := in.c.Await(in.until(idle)); err != nil {
		return err
	}
	n, err := in.c.Read(in.buf[in.end:])
	in.end += n
	if n > 0 {
		err = nil // it comes again
	}
	switch err = in.c.Came(err); {
	case idle && errors.Is(err, io.EOF):
		return errGone
	case idle && errors.Is(err, os.ErrDeadlineExceeded):
		return errIdle
	}
	return err
}

func (in *input) until(idle bool) time.Time {
	switch {
	case idle:
		return time.Now().Add(in.idle)
	case in.due.IsZero():
		in.due = time.Now().Add(in.read)
	}
	return in.due
}

// makeRoom makes sure that something can be read. A request that isn't there yet is
// shorter than max.
func (in *input) makeRoom() {
	if in.begin > 0 {
		in.end = copy(in.buf, in.data())
		in.begin = 0
	}
	if in.end == len(in.buf) {
		bigger := make([]byte, min(2*len(in.buf), in.max))
		copy(bigger, in.buf)
		in.buf = bigger
	}
}
