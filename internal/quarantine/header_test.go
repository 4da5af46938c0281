package quarantine

import (
	"strings"
	"testing"
	"unicode/utf8"

	"mailgate/internal/gate"
	"mailgate/internal/notice"
	"mailgate/internal/spool"
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
		if got := headerText(notice.HeaderOf([]byte(c.message))); got != c.want {
			t.Errorf("%q: %q, want %q", c.message, got, c.want)
		}
	}
}

func TestShowHeader(t *testing.T) {
	w := newWorld(t)
	long := "From: a\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\nbody"
	id := w.hold(t, long, "b@gmail.com")
	d, err := w.Show(t.Context(), id)
	if err != nil || !d.Body || !strings.HasPrefix(d.Header, "From: a\nX: y\n") || len(d.Header) > notice.MaxHeader || strings.Contains(d.Header, "body") {
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
		text := headerText(notice.HeaderOf(message))
		if !utf8.ValidString(text) {
			t.Errorf("%q isn't valid UTF-8", text)
		}
		if strings.HasPrefix(text, "\n") || strings.Contains(text, "\n\n") {
			t.Errorf("%q goes on after the header", text)
		}
	})
}

// A report gives back the header as it came, and cuts a long one after a field: it
// must see that there is more.
func TestHeaderAsItCame(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("X: yyyyy\r\n", notice.MaxHeader/10)
	for content, want := range map[string]int{
		"From: a\r\nTo: b\r\n\r\nbody": 16, "From: a\nTo: b\n\nbody": 14, "\r\nbody": 0,
		long + "From: a\r\n\r\nbody": notice.MaxHeader + 1,
	} {
		if head, there, err := w.header(t.Context(), w.hold(t, content, "b@gmail.com")); err != nil || !there || len(head) != want || string(head) != content[:want] {
			t.Errorf("%.30q: %d bytes, %v, %v; want %d", content, len(head), there, err, want)
		}
	}
	report := w.reportOf(t.Context(), notice.Failed, &spool.Message{ID: w.hold(t, long+"X-Cut: z\r\n\r\nbody", "b@gmail.com")}, gate.Verdict{})
	if got := string(report.Compose()); strings.Contains(got, "X-Cut") || !strings.Contains(got, "X: yyyyy\r\n\r\n--") {
		t.Errorf("the header ends %q", got[len(got)-100:])
	}
}
