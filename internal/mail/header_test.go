package mail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestNewField(t *testing.T) {
	tests := []struct{ name, value, raw, unfolded string }{
		{"Subject", " hello ", "Subject: hello \r\n", "hello"},
		{"Subject", "hello", "Subject:hello\r\n", "hello"},
		{"subject", "", "subject:\r\n", ""},
		{"From ", " x", "From : x\r\n", "x"},
		{"To", " a,\n b,\r\n\tc", "To: a,\r\n b,\r\n\tc\r\n", "a, b,\tc"},
		{"To", "\n a", "To:\r\n a\r\n", "a"},
		{"X-8bit", " \xe4\x1b$B", "X-8bit: \xe4\x1b$B\r\n", "\xe4\x1b$B"},
	}
	for _, tt := range tests {
		f, err := NewField(tt.name, tt.value)
		if err != nil || string(f.Raw) != tt.raw || f.Value() != tt.unfolded || f.Name != strings.TrimSpace(tt.name) {
			t.Errorf("NewField(%q, %q) = %q %q, %v; want %q", tt.name, tt.value, f.Name, f.Raw, err, tt.raw)
		}
	}
}

func TestNewFieldRefuses(t *testing.T) {
	tests := []struct{ name, value string }{
		{"", "x"}, {" ", "x"}, {" From", "x"}, {"Fr om", "x"}, {"From:", "x"}, {"Fr\x00om", "x"}, {"From\n", "x"},
		{"From\x7f", "x"}, {"Fröm", "x"}, {"From\u00a0", "x"}, {"From\r\nTo", "x"},
		{"X", "a\x00b"}, {"X", "a\rb"}, {"X", "a\r b"}, {"X", "a\x00 b"}, {"X", "a\r\r\n b"}, {"X", "a\r"}, {"X", "a\n"}, {"X", "a\r\n"}, {"X", "a\n\n b"},
		{"X", "a\nFrom: b"}, {"X", "a\r\nFrom: b"}, {"X", "a\r\n\r\nbody"}, {"X", "\n"}, {"X", "a\n\r b"}, {"X", " a\n b\nc"},
	}
	for _, tt := range tests {
		f, err := NewField(tt.name, tt.value)
		var se *SyntaxError
		if !errors.As(err, &se) || f.Raw != nil {
			t.Errorf("NewField(%q, %q) = %q, %v; want a SyntaxError", tt.name, tt.value, f.Raw, err)
		} else if !isASCII(se.Error()) || strings.ContainsAny(se.Error(), "\r\n") {
			t.Errorf("NewField(%q, %q): error %q is not one ASCII line", tt.name, tt.value, se)
		}
	}
}

func TestReadHeader(t *testing.T) {
	const header = "Received: by x;\r\n\tnow\r\nFrom : a@example.com\r\nTO:b@example.com\r\nto: c@example.com\r\n"
	for _, body := range []string{"\r\nbody\r\n", "\r\n", ""} {
		r := bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(header+body)), 16)
		h, err := ReadHeader(r, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(h.Bytes()); got != header {
			t.Errorf("Bytes() = %q, want %q", got, header)
		}
		if rest, _ := io.ReadAll(r); string(rest) != strings.TrimPrefix(body, "\r\n") {
			t.Errorf("body %q left of %q", rest, body)
		}
		if h.Get("received") != "by x;\tnow" || h.Get("From") != "a@example.com" || h.Get("Date") != "" {
			t.Errorf("Get: %q %q", h.Get("received"), h.Get("From"))
		}
		if all := h.All("To"); len(all) != 2 || all[1].Value() != "c@example.com" || all[0].Name != "TO" {
			t.Errorf("All: %q", all)
		}
	}
}

func TestReadHeaderRefuses(t *testing.T) {
	for _, in := range []string{
		" folded first\r\n\r\n", "no colon\r\n\r\n", ":no name\r\n\r\n", "From ann Sat Nov 21 10:00:00 2026\r\nTo: b\r\n\r\n",
		"To: a\nCc: b\r\n\r\n", "To: a\n\nbody", "To: a\rb\r\n\r\n", "To: a\r\r\n\r\n", "To: a\x00b\r\n\r\n", "To: a", "To: a\r\nCc: b",
		"To: a\r\n\n", "T\xf6: a\r\n\r\n", "To: a\r\n.\n b\r\n\r\n",
	} {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader(in)), 1000)
		var se *SyntaxError
		if !errors.As(err, &se) || h != nil {
			t.Errorf("ReadHeader(%q) = %q, %v; want a SyntaxError", in, h, err)
		}
	}

	field := "X: 345\r\n"
	limit := strings.Repeat(field, 10) + "\r\n"
	if _, err := ReadHeader(bufio.NewReader(strings.NewReader(limit)), len(limit)); err != nil {
		t.Errorf("a header of just the limit: %v", err)
	}
	_, err := ReadHeader(bufio.NewReader(strings.NewReader(limit)), len(limit)-1)
	if !errors.Is(err, ErrHeaderTooLarge) {
		t.Errorf("a header over the limit: %v", err)
	}
	endless := io.MultiReader(strings.NewReader("X: "), repeat{'x'})
	if _, err := ReadHeader(bufio.NewReader(endless), 1<<16); !errors.Is(err, ErrHeaderTooLarge) {
		t.Errorf("an endless line: %v", err)
	}
	_, err = ReadHeader(bufio.NewReader(iotest.ErrReader(io.ErrClosedPipe)), 1000)
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a reader's error: %v", err)
	}
}

type repeat [1]byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r[0]
	}
	return len(p), nil
}

// A field that is grown must not write into its neighbour.
func TestReadHeaderFieldsAreApart(t *testing.T) {
	h, err := ReadHeader(bufio.NewReader(strings.NewReader("A: 1\r\nB: 2\r\n\r\n")), 100)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(h[0].Raw, 'x')
	if string(h[1].Raw) != "B: 2\r\n" {
		t.Errorf("got %q", h[1].Raw)
	}
}

func FuzzReadHeader(f *testing.F) {
	for _, s := range []string{
		"", "\r\n", "From: a@example.com\r\n\r\nbody", "To: a,\r\n b\r\nFrom : x\r\n\r\n", "a\nb", "X: \r\n \r\n\r\n", "A:\r\n\tb",
		"From: a@b\r\nFrom: c@d\r\n\r\n", "\r\n\r\n", "A: b\r\n.\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), 16)
		h, err := ReadHeader(r, 1<<16)
		if err != nil {
			return
		}
		rest, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		wire := h.Bytes()
		if got := string(wire) + "\r\n" + string(rest); got != string(in) && string(wire) != string(in) {
			t.Fatalf("%q came back as %q", in, got)
		}
		for _, field := range h {
			name, value, _ := strings.Cut(string(field.Raw), ":")
			again, err := NewField(name, strings.TrimSuffix(value, "\r\n"))
			if err != nil || again.Name != field.Name || !bytes.Equal(again.Raw, field.Raw) {
				t.Fatalf("field %q came back as %q, %v", field.Raw, again.Raw, err)
			}
		}
		_, _ = h.From()
		_, _ = h.Subject(), h.MessageID()
	})
}
