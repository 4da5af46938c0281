package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// memoryLimit is how much of a message a Buffer keeps in memory, in bytes.
const memoryLimit = 256 << 10

// Buffer collects a message in memory up to 256 KiB and in an unlinked temporary
// file beyond, so that a message in flight costs bounded memory whatever its
// size. It is for one goroutine while it is written; the readers may then be used
// by several.
type Buffer struct {
	dir    string
	memory []byte   // what was written, until file is there
	file   *os.File // nil while everything fits into memory
	size   int64
	err    error // the write that failed, or os.ErrClosed
}

// NewBuffer returns an empty Buffer that spills into a file in dir (empty: the
// system's directory for temporary files).
func NewBuffer(dir string) *Buffer { return &Buffer{dir: dir} }

// Write appends p. After an error, which wraps ErrFull when the disk is full, the
// buffer is good only for Close.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.file == nil && len(b.memory)+len(p) <= memoryLimit {
		b.memory = append(b.memory, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	n, err := b.writeFile(p)
	b.size += int64(n)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	b.err = err
	return n, err
}

func (b *Buffer) writeFile(p []byte) (int, error) {
	if b.file == nil {
		if err := b.spill(); err != nil {
			return 0, fmt.Errorf("spill message to a file: %w", err)
		}
	}
	return b.file.Write(p)
}

// spill moves what is in memory to a temporary file that has no name, so that it
// is gone when the process is.
func (b *Buffer) spill() error {
	f, err := os.CreateTemp(b.dir, "mailgate-*")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	b.file = f
	_, err = f.Write(b.memory)
	b.memory = nil
	return err
}

// Reader reads what has been written, from the start. Several may be used, one
// after another or at once, until Close.
func (b *Buffer) Reader() *io.SectionReader {
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.size)
	}
	return io.NewSectionReader(bytes.NewReader(b.memory), 0, int64(len(b.memory)))
}

// Size is the number of bytes written.
func (b *Buffer) Size() int64 { return b.size }

// Close frees the memory and the file. A second Close does nothing.
func (b *Buffer) Close() error {
	f := b.file
	*b = Buffer{err: os.ErrClosed}
	if f == nil {
		return nil
	}
	return f.Close()
}
