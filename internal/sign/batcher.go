package sign

import "io"

// Each write to the library costs two goroutine switches per key, so small pieces
// are gathered up to batch bytes; one of direct bytes or more is not worth the
// copy.
const (
	batch  = 16 << 10
	direct = 4 << 10
)

// batcher hands on what is written to it in fewer, larger pieces.
type batcher struct {
	to      io.Writer
	waiting []byte // gathered, not handed on yet
}

// Write takes p; it may keep a copy until there is more, or Flush.
func (b *batcher) Write(p []byte) (int, error) {
	if len(p) < direct && len(b.waiting)+len(p) <= batch {
		b.waiting = append(b.waiting, p...)
		return len(p), nil
	}
	if err := b.Flush(); err != nil {
		return 0, err
	}
	if len(p) < direct {
		b.waiting = append(b.waiting, p...)
		return len(p), nil
	}
	return b.to.Write(p)
}

// Flush hands on what waits.
func (b *batcher) Flush() error {
	if len(b.waiting) == 0 {
		return nil
	}
	_, err := b.to.Write(b.waiting)
	b.waiting = b.waiting[:0]
	return err
}
