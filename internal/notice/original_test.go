package notice

import (
	"strings"
	"testing"

	"mailgate/internal/spool"
)

// What goes back of a message: the whole of it where that was asked for, it failed,
// and it can go as it is; its header otherwise.
func TestOriginal(t *testing.T) {
	const plain = header + "\r\nbody\r\n"
	for name, test := range map[string]struct {
		ask            string
		kind           Kind
		content        string
		want, encoding string
	}{
		"asked for":           {"FULL", Failed, plain, "message/rfc822", ""},
		"in small letters":    {"full", Failed, plain, "message/rfc822", ""},
		"headers":             {"HDRS", Failed, plain, "text/rfc822-headers", ""},
		"nothing said":        {"", Failed, plain, "text/rfc822-headers", ""},
		"delayed":             {"FULL", Delayed, plain, "text/rfc822-headers", ""},
		"relayed":             {"FULL", Relayed, plain, "text/rfc822-headers", ""},
		"8-bit":               {"FULL", Failed, header + "\r\nfür\r\n", "text/rfc822-headers", ""},
		"Latin 1 in header":   {"FULL", Failed, "Subject: \xfc\r\n\r\nbody\r\n", "text/rfc822-headers", "quoted-printable"},
		"UTF-8 in header":     {"FULL", Failed, "Subject: ü\r\n\r\nbody \xff\r\n", "message/global", "quoted-printable"},
		"long line":           {"FULL", Failed, header + "\r\n" + strings.Repeat("x", 999) + "\r\n", "text/rfc822-headers", ""},
		"longest line":        {"FULL", Failed, header + "\r\n" + strings.Repeat("x", 998) + "\r\n", "message/rfc822", ""},
		"bare LF":             {"FULL", Failed, header + "\r\na\nb\r\n", "text/rfc822-headers", ""},
		"NUL":                 {"FULL", Failed, header + "\r\na\x00b\r\n", "text/rfc822-headers", ""},
		"no end":              {"FULL", Failed, header + "\r\nbody", "message/rfc822", ""},
		"header only":         {"FULL", Failed, header, "message/rfc822", ""},
		"as long as may be":   {"FULL", Failed, ofLength(MaxWhole), "message/rfc822", ""},
		"a byte more":         {"FULL", Failed, ofLength(MaxWhole + 1), "text/rfc822-headers", ""},
		"nothing is there":    {"FULL", Failed, "", "text/rfc822-headers", ""},
		"a long way too long": {"FULL", Failed, ofLength(1 << 20), "text/rfc822-headers", ""},
	} {
		r := &Report{Kind: test.kind, Message: &spool.Message{Return: test.ask}}
		if err := r.Return(strings.NewReader(test.content)); err != nil {
			t.Fatal(err)
		}
		p := r.original()
		if p.kind != test.want || p.encoding != test.encoding {
			t.Errorf("%s: %s, %q", name, p.kind, p.encoding)
		}
		whole := strings.TrimSuffix(test.content, "\r\n") + "\r\n"
		if strings.HasPrefix(p.kind, "message/rfc822") && string(p.body) != whole {
			t.Errorf("%s: %q", name, p.body)
		}
		if p.kind == "text/rfc822-headers" && strings.HasPrefix(test.content, header) && string(p.body) != header {
			t.Errorf("%s: %q", name, p.body)
		}
	}
}

// ofLength is a message of n bytes.
func ofLength(n int) string {
	b := strings.Builder{}
	b.WriteString(header + "\r\n")
	for b.Len() < n-100 {
		b.WriteString(strings.Repeat("x", 70) + "\r\n")
	}
	return b.String() + strings.Repeat("x", n-b.Len()-2) + "\r\n"
}

// Who asked for the whole message is told why there is only a header.
func TestTellsWhyNotWhole(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"as long as may be": {ofLength(MaxWhole), ""},
		"a byte more":       {ofLength(MaxWhole + 1), "longer than 64 KiB"},
		"8-bit":             {header + "\r\nfür\r\n", "8-bit characters"},
		"long line":         {header + "\r\n" + strings.Repeat("x", 999) + "\r\n", "can't go within"},
		"UTF-8 in header":   {"Subject: ü\r\n\r\nfür\r\n", ""},
	} {
		r := sound(t)
		r.Message.Return = "FULL"
		if err := r.Return(strings.NewReader(test.content)); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(r.text()), " ")
		if told := strings.Contains(text, "You asked for the whole"); told != (test.want != "") || !strings.Contains(text, test.want) {
			t.Errorf("%s: want %q in\n%s", name, test.want, r.text())
		}
	}
	r := sound(t)
	r.Header = []byte(ofLength(1 << 20))
	if strings.Contains(r.text(), "64 KiB") {
		t.Error("told to who didn't ask")
	}
}
