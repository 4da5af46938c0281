package mail

import (
	"strings"
	"testing"
)

func TestParseDomain(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	long253 := strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)
	tests := []struct{ in, want string }{
		{"example.com", "example.com"},
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"localhost", "localhost"},
		{"_dmarc.example.com", "_dmarc.example.com"},
		{"mail._domainkey.Example.com", "mail._domainkey.example.com"},
		{"r3---sn.example.com", "r3---sn.example.com"},
		{"1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"},
		{"163.com", "163.com"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.example", "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"faß.example", "xn--fa-hia.example"},
		{"_spf.bücher.example", "_spf.xn--bcher-kva.example"},
		{"例え。テスト", "xn--r8jz45g.xn--zckzah"},
		{"例え.テスト。", "xn--r8jz45g.xn--zckzah"},
		{label63 + ".example", label63 + ".example"},
		{long253, long253},
		{long253 + ".", long253},
	}
	for _, tt := range tests {
		if d, err := ParseDomain(tt.in); err != nil || string(d) != tt.want {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", tt.in, d, err, tt.want)
		}
	}

	for _, in := range []string{
		"", ".", "..", ".example.com", "example..com", "example.com..", "a b.example", "a@example.com",
		"[192.0.2.1]", "[IPv6:2001:db8::1]", "192.0.2.1", "192.0.2.1.", "2001:db8::1", "example.123",
		"-a.example", "a-.example", "*.example.com", "a/b.example", "exa\x00mple.com", "example.com\n",
		label63 + "a.example", long253 + "b", strings.Repeat("ü", 60) + ".example",
		"xn--.example", "xn--a.example", "xn--example-.com", "xn--bcher-kvb\x80.example", "b\xfccher.example",
		"a\u200d.example", "a\u202eb.example", "xn--ls8h=.la",
	} {
		if d, err := ParseDomain(in); err == nil {
			t.Errorf("ParseDomain(%q) = %q, want an error", in, d)
		} else if !isASCII(err.Error()) {
			t.Errorf("ParseDomain(%q): error %q is not ASCII", in, err)
		}
	}
}

func TestParseDomainSays(t *testing.T) {
	for in, want := range map[string]string{
		"a..b":                         `domain "a..b": an empty label`,
		"ann@Example.com":              `domain "ann@Example.com": a mail address; did you mean example.com?`,
		"Ann <ann@example.com>":        `domain "Ann <ann@example.com>": a mail address; did you mean example.com?`,
		"https://example.com/":         `domain "https://example.com/": a URL; did you mean example.com?`,
		"http://example.com:8080/a@b?": `domain "http://example.com:8080/a@b?": a URL; did you mean example.com?`,
		"ann@":                         `domain "ann@": a character that is not allowed: "@"`,
		"a@b@[192.0.2.1]":              `domain "a@b@[192.0.2.1]": a character that is not allowed: "@"`,
		"example.com/":                 `domain "example.com/": a character that is not allowed: "/"`,
	} {
		if _, err := ParseDomain(in); err == nil || err.Error() != want {
			t.Errorf("ParseDomain(%q): %v, want %s", in, err, want)
		}
	}
}

func TestDomainMethods(t *testing.T) {
	under := []struct {
		d, parent Domain
		want      bool
	}{
		{"example.com", "example.com", true},
		{"a.b.example.com", "example.com", true},
		{"badexample.com", "example.com", false},
		{"com", "example.com", false},
		{"example.com", "", false},
		{"", "", false},
	}
	for _, tt := range under {
		if got := tt.d.IsUnder(tt.parent); got != tt.want {
			t.Errorf("%q.IsUnder(%q) = %v", tt.d, tt.parent, got)
		}
	}
	for d, want := range map[Domain]Domain{"a.b.c": "b.c", "c": "", "": ""} {
		if got := d.Parent(); got != want {
			t.Errorf("%q.Parent() = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[Domain]string{
		"xn--bcher-kva.example": "bücher.example", "example.com": "example.com", "xn--a.example": "xn--a.example",
	} {
		if got := d.Unicode(); got != want {
			t.Errorf("%q.Unicode() = %q, want %q", d, got, want)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{
		"example.com", "EXAMPLE.com.", "bücher.example", "xn--bcher-kva.example", "例え。テスト", "_a.b-c.d", "[1.2.3.4]",
		"1.2.3.4", "faß.de", "xn--a.example", "ａ．ｂ", "a\u200db.example", "xn--fa-hia.example", "\u06ef\u200c\u06ef.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDomain(s)
		if err != nil {
			if d != "" {
				t.Fatalf("ParseDomain(%q) = %q with an error", s, d)
			}
			return
		}
		if !isASCII(string(d)) || len(d) > maxDomain || strings.ContainsAny(string(d), "@<>\"' \t\r\n\x00") {
			t.Fatalf("ParseDomain(%q) = %q", s, d)
		}
		for _, again := range []string{string(d), string(d) + ".", strings.ToUpper(string(d)), d.Unicode()} {
			if got, err := ParseDomain(again); err != nil || got != d {
				t.Fatalf("ParseDomain(%q) = %q, but ParseDomain(%q) = %q, %v", s, d, again, got, err)
			}
		}
	})
}
