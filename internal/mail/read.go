package mail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrHeaderTooLarge is returned by ReadHeader for a header over its limit.
var ErrHeaderTooLarge = errors.New("message header too large")

// ReadHeader reads a header up to and including the empty line; the body stays
// in r. A message that ends after its header has no empty line, which is no
// error. Line ends are CRLF, a bare CR or LF is an error. A malformed line is a
// *SyntaxError, a header of more than maxBytes ErrHeaderTooLarge, and what r
// fails with is wrapped.
func ReadHeader(r *bufio.Reader, maxBytes int) (Header, error) {
	raw, err := readLines(r, maxBytes)
	if err != nil {
		return nil, err
	}
	var h Header
	for len(raw) > 0 {
		n := fieldEnd(raw)
		f, err := parseField(raw[:n:n])
		if err != nil {
			return nil, err
		}
		h = append(h, f)
		raw = raw[n:]
	}
	return h, nil
}

// readLines reads up to the empty line, which it leaves out.
func readLines(r *bufio.Reader, maxBytes int) ([]byte, error) {
	var raw []byte
	line := 0 // where the present line begins
	for {
		part, err := r.ReadSlice('\n')
		if len(raw)+len(part) > maxBytes {
			return nil, fmt.Errorf("%w: over %d bytes", ErrHeaderTooLarge, maxBytes)
		}
		raw = append(raw, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && line == len(raw):
			return raw, nil
		case errors.Is(err, io.EOF):
			return nil, syntaxErrorf("message ends within a header line")
		case err != nil:
			return nil, fmt.Errorf("reading the message header: %w", err)
		}
		if !bytes.HasSuffix(raw[line:], []byte("\r\n")) {
			return nil, syntaxErrorf("header line ends with a bare LF")
		}
		if len(raw)-line == len("\r\n") {
			return raw[:line], nil
		}
		line = len(raw)
	}
}

// fieldEnd returns the length of the first field of raw, folds included.
func fieldEnd(raw []byte) int {
	n := 0
	for {
		n += bytes.IndexByte(raw[n:], '\n') + 1
		if n == len(raw) || !isWSP(raw[n]) {
			return n
		}
	}
}

// parseField makes a Field of raw, which ends with CRLF and keeps its bytes.
func parseField(raw []byte) (Field, error) {
	name, _, ok := bytes.Cut(raw, []byte(":"))
	if !ok {
		line, _, _ := bytes.Cut(raw, []byte("\r\n"))
		return Field{}, syntaxErrorf("header line %s is no field: no colon", quote(string(line)))
	}
	bare := string(bytes.TrimRight(name, " \t"))
	if err := checkFieldName(bare); err != nil {
		return Field{}, err
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		return Field{}, syntaxErrorf("header field %s holds a NUL", bare)
	}
	if bytes.Count(raw, []byte("\r")) != bytes.Count(raw, []byte("\r\n")) {
		return Field{}, syntaxErrorf("header field %s holds a bare CR", bare)
	}
	return Field{Name: bare, Raw: raw}, nil
}
