package mail

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSubject(t *testing.T) {
	tests := []struct{ in, want string }{
		{" hello", "hello"},
		{" two\r\n lines", "two lines"},
		{" =?utf-8?q?caf=C3=A9?= =?iso-8859-1?q?_=E9t=E9?=", "café été"},
		{" =?utf-8?b?44GT44KT?=\r\n =?utf-8?b?44Gr44Gh44Gv?=", "こんにちは"},
		{" =?utf-8?q?a=00b=0D=0Ac=1B[31m?=", "abc[31m"},
		{" =?utf-8?q?a=E2=80=AEb?=", "ab"},
		{" a\x1b[31m\tb", "a[31m b"},
		{" =?gb2312?b?xOO6ww==?=", "=?gb2312?b?xOO6ww==?="},
		{" bro\xffken", "bro\ufffdken"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := header(t, "Subject:"+tt.in, "Subject: second").Subject(); got != tt.want {
			t.Errorf("Subject of %q = %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := (Header{}).Subject(); got != "" {
		t.Errorf("no Subject gives %q", got)
	}
	long := header(t, "Subject: x"+strings.Repeat("é", 100000)).Subject()
	if len(long) > 500 || len(long) < 497 || !utf8.ValidString(long) {
		t.Errorf("a long Subject gives %d bytes", len(long))
	}
}

func TestMessageID(t *testing.T) {
	for in, want := range map[string]string{
		" <a@example.com>":                 "<a@example.com>",
		"\r\n <a@example.com>":             "<a@example.com>",
		" <a\x07b@example.com>":            "<ab@example.com>",
		" " + strings.Repeat("x", 100_000): strings.Repeat("x", 500),
		"":                                 "",
	} {
		if got := header(t, "Message-Id:"+in).MessageID(); got != want {
			t.Errorf("MessageID of %.40q = %q, want %q", in, got, want)
		}
	}
}
