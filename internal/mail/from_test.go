package mail

import (
	"errors"
	"io"
	"mime"
	netmail "net/mail"
	"strings"
	"testing"
)

// header makes a Header of lines as "Name: value".
func header(t *testing.T, lines ...string) Header {
	t.Helper()
	var h Header
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		f, err := NewField(name, value)
		if err != nil {
			t.Fatalf("NewField(%q): %v", line, err)
		}
		h = append(h, f)
	}
	return h
}

func TestFromAccepts(t *testing.T) {
	long := strings.Repeat("a", 100)
	tests := []struct{ name, from, want string }{
		{"bare", "ann@example.com", "ann@example.com"},
		{"no space after the colon", "ann@example.com", "ann@example.com"},
		{"angle", " Ann <ann@example.com>", "ann@example.com"},
		{"angle alone", " <ann@example.com>", "ann@example.com"},
		{"spaces beside the brackets", " Ann < ann@example.com >  ", "ann@example.com"},
		{"no space before the bracket", " Ann<ann@example.com>", "ann@example.com"},
		{"upper case domain", " Ann <Ann@EXAMPLE.Com>", "Ann@example.com"},
		{"dots in the name", " Ann Q. Public Jr. <ann@example.com>", "ann@example.com"},
		{"folded before the address", " Ann\r\n <ann@example.com>", "ann@example.com"},
		{"folded at once", "\n\tann@example.com", "ann@example.com"},
		{"folded after the colon and a space", " \r\n ann@example.com", "ann@example.com"},
		{"folded in the name", " \"Ann\r\n  Public\" <ann@example.com>", "ann@example.com"},
		{"folded in the brackets", " Ann <\r\n ann@example.com\r\n >", "ann@example.com"},
		{"quoted name with @", ` "bob@evil.example" <ann@example.com>`, "ann@example.com"},
		{"quoted name with <", ` "<bob@evil.example>" <ann@example.com>`, "ann@example.com"},
		{"quoted name with escaped quote", ` "a \" <bob@evil.example>, \\" <ann@example.com>`, "ann@example.com"},
		{"quoted name with comma", ` "Public, Ann" <ann@example.com>`, "ann@example.com"},
		{"empty quoted name", ` "" <ann@example.com>`, "ann@example.com"},
		{"comment after", " ann@example.com (Ann (the first) Public)", "ann@example.com"},
		{"comment before", " (Ann) ann@example.com", "ann@example.com"},
		{"comment in the name", " Ann (work) <ann@example.com> (x)", "ann@example.com"},
		{"encoded name", " =?utf-8?q?J=C3=B6rg?= <ann@example.com>", "ann@example.com"},
		{"encoded name of two words", " =?utf-8?q?J=C3=B6rg?=\r\n =?utf-8?q?_B=2E?= <ann@example.com>", "ann@example.com"},
		{"encoded name, unknown charset", " =?gb2312?B?1cXI/Q==?= <ann@example.com>", "ann@example.com"},
		{"encoded @ in the name", " =?utf-8?q?bob=40evil.example?= <ann@example.com>", "ann@example.com"},
		{"encoded name in quotes", ` "=?utf-8?q?a=40b?=" <ann@example.com>`, "ann@example.com"},
		{"raw UTF-8 name", " Jörg Müller <ann@example.com>", "ann@example.com"},
		{"quoted local part", ` "ann public"@example.com`, `"ann public"@example.com`},
		{"needless quotes", ` <"ann"@example.com>`, "ann@example.com"},
		{"all of atext", " !#$%&'*+-/?=^_`{|}~.a@example.com", "!#$%&'*+-/?=^_`{|}~.a@example.com"},
		{"long local part", " " + long + "@example.com", long + "@example.com"},
		{"UTF-8 local part", " <jörg@example.com>", "jörg@example.com"},
		{"U-label", " <ann@bücher.example>", "ann@xn--bcher-kva.example"},
		{"U-label in upper case", " <ann@BÜCHER.example>", "ann@xn--bcher-kva.example"},
		{"A-label", " <ann@XN--bcher-kva.example>", "ann@xn--bcher-kva.example"},
		{"single label", " root@localhost", "root@localhost"},
		{"underscore label", " root@a_b.example.com", "root@a_b.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := header(t, "From:"+tt.from).From()
			if err != nil || a.String() != tt.want {
				t.Errorf("From(%q) = %v, %v; want %s", tt.from, a, err, tt.want)
			}
		})
	}
}

func TestFromRefuses(t *testing.T) {
	tests := []struct{ name, from, reason string }{
		{"empty", "", "no address"},
		{"white space", "  \t ", "no address"},
		{"comment only", " (Ann)", "no address"},
		{"name only", " Ann", "without a domain"},
		{"null", " <>", "empty address"},
		{"null with name", " Ann < >", "empty address"},
		{"no domain", " <ann>", "no @"},
		{"empty domain", " ann@", "no domain"},
		{"empty domain in brackets", " <ann@>", "no domain"},
		{"empty local part", " @example.com", "@ after"},
		{"empty local part in brackets", " <@example.com>", "source route"},
		{"source route", " <@a.example,@b.example:ann@example.com>", "source route"},
		{"group", " undisclosed-recipients:;", "group"},
		{"group of one", " Friends: ann@example.com;", "group"},
		{"unquoted comma", " Public, Ann <ann@example.com>", "without a domain"},
		{"leading comma", " , ann@example.com", "empty place"},
		{"trailing comma", " ann@example.com,", "empty place"},
		{"semicolon", " ann@example.com;", `";" after`},
		{"address as name", " bob@evil.example <ann@example.com>", "before <"},
		{"address as name after a word", " via bob@evil.example <ann@example.com>", "@ after"},
		{"two angles", " <bob@evil.example> <ann@example.com>", "before <"},
		{"two angles with name", " <bob@evil.example> Ann <ann@example.com>", "after an address"},
		{"nested angle", " <<ann@example.com>>", "no local part"},
		{"second >", " <ann@example.com>>", "after an address"},
		{"no >", " Ann <ann@example.com", "no >"},
		{"only >", " ann@example.com>", "after an address"},
		{"quote without end", ` "Ann <ann@example.com>`, "without an end"},
		{"quote ending in a backslash", ` "Ann\`, "without an end"},
		{"comment without end", " ann@example.com (Ann", "without an end"},
		{"comment not begun", " ann@example.com )", "after an address"},
		{"address in a comment", " ann@example.com (bob@evil.example)", "within a comment"},
		{"angle in a comment", " ann@example.com (<b>)", "within a comment"},
		{"quote in a comment", ` ann@example.com (")`, "within a comment"},
		{"comment in the address", " ann@(x)example.com", "no domain"},
		{"comment before the @", " ann(x)@example.com", "@ after"},
		{"comment in the brackets", " <(x)ann@example.com>", "no local part"},
		{"comment in the brackets, at the end", " <ann@example.com(x)>", "no >"},
		{"comment between labels", " ann@example.(x)com", "must be written"},
		{"space before the @", " ann @example.com", "@ after"},
		{"space after the @", " ann@ example.com", "no domain"},
		{"space in the local part", " <ann public@example.com>", "no @"},
		{"fold in the address", " <ann@\r\n example.com>", "no domain"},
		{"two @", " ann@example.com@evil.example", "after an address"},
		{"@ in a quoted local part", ` "bob@evil.example"@example.com`, "different ways"},
		{"bracket in a quoted local part", ` <"bob> "@example.com>`, "different ways"},
		{"obsolete local part", ` <"ann".public@example.com>`, "no @"},
		{"leading dot", " .ann@example.com", "no local part"},
		{"two dots", " <ann..p@example.com>", "no local part"},
		{"final dot in the local part", " <ann.@example.com>", "no local part"},
		{"encoded word as address", " =?utf-8?q?ann=40example.com?=", "without a domain"},
		{"encoded word in the brackets", " <=?utf-8?q?ann=40example.com?=>", "encoded word"},
		{"encoded word as local part", " =?utf-8?q?bob=40evil.example?=@example.com", "encoded word"},
		{"encoded word as quoted local part", ` "=?utf-8?q?bob?="@example.com`, "encoded word"},
		{"encoded word as domain", " ann@=?utf-8?q?example.com?=", "not allowed"},
		{"NUL in an encoded word", " =?utf-8?q?bob=00?= <ann@example.com>", "hides"},
		{"line end in an encoded word", " =?utf-8?b?Ym9iDQo=?= <ann@example.com>", "hides"},
		{"line end in an encoded word of unknown charset", " =?gb2312?q?=0A?= <ann@example.com>", "hides"},
		{"line end in an encoded word beside a fold", " =?utf-8?q?a?=\r\n =?utf-8?q?=0Db?= <ann@example.com>", "hides"},
		{"NUL in a comment", " ann@example.com (=?utf-8?q?=00?=)", "hides"},
		{"NUL in a quoted name", ` "=?utf-8?q?=00?=" <ann@example.com>`, "hides"},
		{"control character", " Ann\x07 <ann@example.com>", "control"},
		{"delete", " Ann\x7f <ann@example.com>", "control"},
		{"C1 control", " Ann\u0085 <ann@example.com>", "control"},
		{"line separator", " Ann\u2028 <ann@example.com>", "control"},
		{"not UTF-8", " J\xf6rg <ann@example.com>", "UTF-8"},
		{"Shift-JIS with a backslash", " \"\x95\x5c\" <ann@example.com>", "UTF-8"},
		{"blank fold", " Ann\r\n \r\n <ann@example.com>", "white space only"},
		{"blank fold at the beginning", "\r\n \r\n ann@example.com", "white space only"},
		{"blank fold only", "\r\n ", "white space only"},
		{"blank fold at the end", " ann@example.com\r\n ", "white space only"},
		{"bracket in the name", " [Team] Ann <ann@example.com>", `"[" outside quotes`},
		{"address literal", " ann@[192.0.2.1]", "address literal"},
		{"IP address", " ann@192.0.2.1", "IP address"},
		{"final dot", " ann@example.com.", "must be written"},
		{"full-width domain", " ann@ｅxample.com", "must be written"},
		{"ideographic full stop", " ann@example。com", "must be written"},
		{"bad A-label", " ann@xn--a.example", "domain"},
		{"no-break space in the local part", " ann\u00a0@example.com", "invisible"},
		{"direction mark in the local part", " ann\u202e@example.com", "invisible"},
		{"over-long label", " ann@" + strings.Repeat("a", 64) + ".example", "63"},
		{"over-long address", " " + strings.Repeat("a", 250) + "@example.com", "octets"},
		{"several and no Sender", " ann@example.com, bob@example.com", "no Sender"},
		{"several domains", " ann@example.com, bob@example.net", "different domains"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := header(t, "From:"+tt.from).From()
			checkRefusal(t, a, err, tt.reason)
		})
	}
}

func checkRefusal(t *testing.T, a Address, err error, reason string) {
	t.Helper()
	var fe *FromError
	if !errors.As(err, &fe) || a != (Address{}) {
		t.Fatalf("got %v, %v; want a FromError", a, err)
	}
	if s := fe.Error(); !strings.Contains(s, reason) || !isASCII(s) || strings.ContainsAny(s, "\r\n") || len(s) > 400 {
		t.Errorf("got %q, want one short ASCII line with %q", s, reason)
	}
}

func TestFromOverSeveralFields(t *testing.T) {
	tests := []struct {
		name   string
		lines  []string
		reason string // "" where ann@example.com is the author
	}{
		{"one among others", []string{"To: x@example.net", "FROM: ann@example.com", "Sender: x@example.net"}, ""},
		{"none", []string{"To: x@example.net"}, "no From field"},
		{"two", []string{"From: ann@example.com", "From: ann@example.com"}, "2 From fields"},
		{"two in different case", []string{"From: ann@example.com", "fROM: bob@example.com"}, "2 From fields"},
		{"second with a space before the colon", []string{"From: ann@example.com", "From : bob@example.com"}, "2 From fields"},
		{"space before the colon", []string{"From : ann@example.com"}, "before the colon"},
		{"tab before the colon", []string{"From\t: ann@example.com"}, "before the colon"},
		{"several with Sender", []string{"From: ann@example.com, b@example.com", "Sender: b@example.com"}, ""},
		{"several with Sender in a sub-domain", []string{"From: ann@example.com, b@example.com", "Sender: b@mx.example.com"}, ""},
		{"several with a foreign Sender", []string{"From: ann@example.com, b@example.com", "Sender: b@badexample.com"}, "no Sender of"},
		{"several with two Senders", []string{"From: ann@example.com, b@example.com", "Sender: b@example.com", "Sender: b@example.com"}, "2 Sender"},
		{"several with a Sender of two", []string{"From: ann@example.com, b@example.com", "Sender: a@example.com, b@example.com"}, "no Sender of"},
		{"several with an empty Sender", []string{"From: ann@example.com, b@example.com", "Sender: "}, "Sender field"},
		{"look-alike name", []string{"From-: ann@example.com"}, "no From field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := header(t, tt.lines...).From()
			if tt.reason != "" {
				checkRefusal(t, a, err, tt.reason)
			} else if err != nil || a.String() != "ann@example.com" {
				t.Errorf("got %v, %v", a, err)
			}
		})
	}
}

// FuzzFrom holds the From rule against net/mail, a parser of another origin: an
// author found here must be the author there.
func FuzzFrom(f *testing.F) {
	for _, s := range []string{
		" Ann <ann@example.com>", " ann@example.com (Ann)", ` "a@b" <ann@example.com>`, " =?utf-8?q?a=40b?= <ann@example.com>",
		" ann@example.com, bob@example.com", " Friends: ann@example.com;", " <@a:b@c>", " \"a\\\"b\" <c@d>", "\n a@b", " a\r\n <b@c>",
		" (a(b)c) a@b", " jörg@bücher.example", ` "a b"@c`, " a@b <c@d>", " a.b. c <d@e>", " <a@b>, \"c, d\" <e@b>",
	} {
		f.Add("From", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		field, err := NewField(name, value)
		if err != nil {
			return
		}
		sender := Field{Name: "Sender", Raw: []byte("Sender: x@example.com\r\n")}
		a, err := Header{field, sender}.From()
		if err != nil {
			if s := err.Error(); !isASCII(s) || strings.ContainsAny(s, "\r\n") || len(s) > 1000 {
				t.Fatalf("From of %q: error %q", field.Raw, s)
			}
			return
		}
		if a.Domain == "" || a.Local == "" {
			t.Fatalf("From of %q = %+q", field.Raw, a)
		}
		if again, err := ParsePath(a.String()); err != nil || again != a {
			t.Fatalf("From of %q = %+q, and as a path %+q, %v", field.Raw, a, again, err)
		}
		agreesWithNetMail(t, field, a)
	})
}

func agreesWithNetMail(t *testing.T, f Field, a Address) {
	t.Helper()
	p := netmail.AddressParser{WordDecoder: &mime.WordDecoder{
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	list, err := p.ParseList(f.Value())
	if err != nil {
		return // stricter in places, which no reader is misled by
	}
	at := strings.LastIndexByte(list[0].Address, '@')
	local, domain := list[0].Address[:at], list[0].Address[at+1:]
	if d, err := ParseDomain(domain); err != nil || d != a.Domain || local != a.Local {
		t.Fatalf("From of %q = %+q, net/mail says %q", f.Raw, a, list[0].Address)
	}
}

func BenchmarkFrom(b *testing.B) {
	var h Header
	for _, s := range []string{
		"Received: from x by y;\r\n\tnow", "To: bob@example.net", "Subject: hello", "Date: now", "Message-ID: <a@b>",
		`From: "Ann Public" <ann.public@example.com>`, "MIME-Version: 1.0",
	} {
		name, value, _ := strings.Cut(s, ":")
		f, err := NewField(name, value)
		if err != nil {
			b.Fatal(err)
		}
		h = append(h, f)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.From(); err != nil {
			b.Fatal(err)
		}
	}
}
