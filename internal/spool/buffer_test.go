package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

func TestBuffer(t *testing.T) {
	for _, size := range []int{0, 1, 10 << 10, memoryLimit - 1, memoryLimit, memoryLimit + 1, 3 << 20} {
		for _, step := range []int{1000, 65535, 1 << 20} {
			dir := t.TempDir()
			want := pattern(size)
			b := NewBuffer(dir)
			for rest := want; len(rest) > 0; {
				n := min(step, len(rest))
				if k, err := b.Write(rest[:n]); k != n || err != nil {
					t.Fatalf("Write: %d, %v", k, err)
				}
				rest = rest[n:]
			}
			if b.Size() != int64(size) {
				t.Errorf("Size = %d, want %d", b.Size(), size)
			}
			if spilled := b.file != nil; spilled != (size > memoryLimit) {
				t.Errorf("%d bytes: in a file: %v", size, spilled)
			}
			for range 2 {
				if got, err := io.ReadAll(b.Reader()); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes in steps of %d: read %d, %v", size, step, len(got), err)
				}
			}
			if names, _ := os.ReadDir(dir); len(names) != 0 {
				t.Errorf("left in the directory: %v", names)
			}
			if err := errors.Join(b.Close(), b.Close()); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, err := b.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
		}
	}
}

// TestBufferSpillFails: a write that can't be kept is an error, and stays one.
func TestBufferSpillFails(t *testing.T) {
	b := NewBuffer(t.TempDir() + "/missing")
	defer b.Close()
	b.Write(pattern(memoryLimit))
	for range 2 {
		if _, err := b.Write([]byte("x")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Write = %v", err)
		}
	}
}

// TestBufferFull uses the device that is always full.
func TestBufferFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuffer("")
	b.file = full
	defer b.Close()
	if _, err := b.Write([]byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("Write = %v, want ErrFull", err)
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return p
}

func BenchmarkBuffer10KiB(b *testing.B) {
	chunk := pattern(10 << 10)
	b.ReportAllocs()
	for b.Loop() {
		buf := NewBuffer("")
		buf.Write(chunk)
		buf.Close()
	}
}
