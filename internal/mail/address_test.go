package mail

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := []struct{ in, local, domain, out string }{
		{"", "", "", ""},
		{"<>", "", "", ""},
		{"<ann@example.com>", "ann", "example.com", "ann@example.com"},
		{"ann@example.com", "ann", "example.com", "ann@example.com"},
		{"<Ann@EXAMPLE.com.>", "Ann", "example.com", "Ann@example.com"},
		{"<postmaster>", "postmaster", "", "postmaster"},
		{"Postmaster", "Postmaster", "", "Postmaster"},
		{`<"ann"@example.com>`, "ann", "example.com", "ann@example.com"},
		{`<"ann public"@example.com>`, "ann public", "example.com", `"ann public"@example.com`},
		{`<"a\"b\\c\d"@example.com>`, `a"b\cd`, "example.com", `"a\"b\\cd"@example.com`},
		{`<"bob@evil.example> "@example.com>`, "bob@evil.example> ", "example.com", `"bob@evil.example> "@example.com`},
		{"<a..b@example.com>", "a..b", "example.com", `"a..b"@example.com`},
		{"<ann.@example.com>", "ann.", "example.com", `"ann."@example.com`},
		{"<jörg@bücher.example>", "jörg", "xn--bcher-kva.example", "jörg@xn--bcher-kva.example"},
		{"<SRS0=a+b=c/d@example.com>", "SRS0=a+b=c/d", "example.com", "SRS0=a+b=c/d@example.com"},
	}
	for _, tt := range tests {
		a, err := ParsePath(tt.in)
		if err != nil || a.Local != tt.local || string(a.Domain) != tt.domain || a.String() != tt.out {
			t.Errorf("ParsePath(%q) = %+q (%s), %v; want %s", tt.in, a, a, err, tt.out)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, in := range []string{
		"<", ">", "<ann@example.com", "ann@example.com>", "<<ann@example.com>>", "ann", "<ann>", "@example.com",
		"<ann@>", "ann@", "<@a.example:ann@example.com>", "<@a.example,@b.example:ann@example.com>",
		"ann@example.com@evil.example", "ann public@example.com", " ann@example.com", "<ann@example.com> ",
		"<ann@example.com> SIZE=1", `"ann@example.com`, `"ann\`, `"ann"b@example.com`, `""@example.com`, `"ann"b.example`, "postmaster@", "<postmaster@>", `"ann"`,
		"ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "ann@192.0.2.1", "ann@exa mple.com", "ann@example..com",
		"ann\r\n@example.com", "\"ann\r\nRCPT TO:<b@example.com>\"@example.com", "\"a\x00b\"@example.com", "\"a\tb\"@example.com",
		"a\x7f@example.com", "a\x80@example.com", "a\u0085@example.com", "a\u2028b@example.com", "a\u202eb@example.com",
		strings.Repeat("a", 250) + "@example.com", strings.Repeat("a", 1<<16) + "@example.com", "(c)ann@example.com",
	} {
		if a, err := ParsePath(in); err == nil || a != (Address{}) {
			t.Errorf("ParsePath(%q) = %+q, %v; want an error", in, a, err)
		} else if s := err.Error(); !isASCII(s) || strings.ContainsAny(s, "\r\n") {
			t.Errorf("ParsePath(%q): error %q is not one ASCII line", in, s)
		}
	}
}

func TestParseUnquoted(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"ann@example.com":             "ann@example.com",
		"ann public@example.com":      `"ann public"@example.com`,
		"bob@evil.example> @Local":    `"bob@evil.example> "@local`,
		`a"b\c@example.com`:           `"a\"b\\c"@example.com`,
		"postmaster":                  "postmaster",
		"a@b@c@bücher.example":        `"a@b@c"@xn--bcher-kva.example`,
		"<ann@example.com>@localhost": `"<ann@example.com>"@localhost`,
	} {
		if a, err := ParseUnquoted(in); err != nil || a.String() != want {
			t.Errorf("ParseUnquoted(%q) = %s, %v; want %s", in, a, err, want)
		}
	}
	for _, in := range []string{"@example.com", "ann", "ann@", "a\nb@example.com", "a@b@"} {
		if a, err := ParseUnquoted(in); err == nil {
			t.Errorf("ParseUnquoted(%q) = %s, want an error", in, a)
		}
	}
}

func TestNeedsUTF8(t *testing.T) {
	for in, want := range map[string]bool{
		"": false, "ann@example.com": false, "ann@bücher.example": false, "jörg@example.com": true,
	} {
		a, err := ParsePath(in)
		if err != nil || a.NeedsUTF8() != want {
			t.Errorf("NeedsUTF8 of %q = %v, %v", in, a.NeedsUTF8(), err)
		}
	}
}

func TestAddressJSON(t *testing.T) {
	const text = `{"From":"","To":["ann@example.com","\"a b\"@xn--bcher-kva.example"]}`
	var v struct {
		From Address
		To   []Address
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	if !v.From.IsNull() || v.To[1] != (Address{"a b", "xn--bcher-kva.example"}) {
		t.Errorf("got %+v", v)
	}
	if b, err := json.Marshal(v); err != nil || string(b) != text {
		t.Errorf("got %s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`{"From":"ann"}`), &v); err == nil {
		t.Error("an address without a domain was read")
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"", "<>", "<ann@example.com>", `<"a b"@example.com>`, `"a\"b\\c"@example.com`, "postmaster", "<@a:b@c>",
		"jörg@bücher.example", "a..b@c", "a@[1.2.3.4]", "\"a\r\n\"@b", `"<>@"@b.`, "a\u200cb@c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParsePath(s)
		if err != nil {
			if a != (Address{}) {
				t.Fatalf("ParsePath(%q) = %+q with an error", s, a)
			}
			return
		}
		for _, out := range []string{a.String(), "<" + a.String() + ">"} {
			if strings.ContainsAny(out, "\r\n\x00\t") {
				t.Fatalf("ParsePath(%q) writes %q", s, out)
			}
			if again, err := ParsePath(out); err != nil || again != a {
				t.Fatalf("ParsePath(%q) = %+q, but ParsePath(%q) = %+q, %v", s, a, out, again, err)
			}
		}
		if again, err := ParseUnquoted(unquoted(a)); err != nil || again != a {
			t.Fatalf("ParsePath(%q) = %+q, but ParseUnquoted = %+q, %v", s, a, again, err)
		}
	})
}

func unquoted(a Address) string {
	if a.Domain == "" {
		return a.Local
	}
	return a.Local + "@" + string(a.Domain)
}
