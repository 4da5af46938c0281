package quarantine

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHeaderText(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"From: a\r\nTo: b\r\n\r\nbody\r\n", "From: a\nTo: b\n"},
		{"From: a\n folded\n\nbody", "From: a\n folded\n"},
		{"From: a", "From: a"},
		{"\r\nFrom: in the body", ""},
		{"Subject: \xff\xfe\r\n\r\n", "Subject: \uFFFD\n"},
		{"", ""},
	} {
		if got := headerText([]byte(c.message)); got != c.want {
			t.Errorf("%q: %q, want %q", c.message, got, c.want)
		}
	}
}

func TestShowHeader(t *testing.T) {
	w := newWorld(t)
	long := "From: a\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\nbody"
	id := w.hold(t, long, "b@gmail.com")
	d, err := w.Show(t.Context(), id)
	if err != nil || !d.Body || !strings.HasPrefix(d.Header, "From: a\nX: y\n") || len(d.Header) > maxHeader || strings.Contains(d.Header, "body") {
		t.Errorf("%v, body %v, header of %d bytes", err, d.Body, len(d.Header))
	}
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Purge(t.Context(), w.o.Now().Add(1)); err != nil {
		t.Fatal(err)
	}
	if d, err = w.Show(t.Context(), id); err != nil || d.Body || d.Header != "" || d.Now != "" {
		t.Errorf("after the body is gone: %v, body %v, header %q, now %q", err, d.Body, d.Header, d.Now)
	}
}

func FuzzHeaderText(f *testing.F) {
	f.Add([]byte("From: a\r\n b\r\n\r\nbody"))
	f.Add([]byte("\xff\r\r\n\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		text := headerText(message)
		if !utf8.ValidString(text) {
			t.Errorf("%q isn't valid UTF-8", text)
		}
		if strings.HasPrefix(text, "\n") || strings.Contains(text, "\n\n") {
			t.Errorf("%q goes on after the header", text)
		}
	})
}
