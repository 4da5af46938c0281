package main

import (
	"bufio"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

func TestQualify(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"From: root (Cron Daemon)", "From: root@h.example (Cron Daemon)"},
		{`From: "(Cron Daemon)" <root>`, `From: "(Cron Daemon)" <root@h.example>`},
		{"To: root", "To: root@h.example"},
		{"To:root", "To:root@h.example"},
		{"Cc: root, ann@one.example,\r\n bob", "Cc: root@h.example, ann@one.example,\r\n bob@h.example"},
		{"Reply-To: < root >", "Reply-To: < root@h.example >"},
		{"Bcc: staff: ann, Bob <bob>; , carol", "Bcc: staff: ann@h.example, Bob <bob@h.example>; , carol@h.example"},
		{`Sender: "odd @ name"`, `Sender: "odd @ name"@h.example`},
		{"Resent-To: bob.smith (at home (or not)) ", "Resent-To: bob.smith@h.example (at home (or not)) "},
		{`To: A, "B, C" <b\@>`, `To: A@h.example, "B, C" <b\@>`},

		{"To: ann@one.example", "To: ann@one.example"},
		{"To: ann@[192.0.2.1]", "To: ann@[192.0.2.1]"},
		{"To: ann@[IPv6:2001:db8::1]", "To: ann@[IPv6:2001:db8::1]"},
		{"To: Ann Lee <ann@one.example> (x)", "To: Ann Lee <ann@one.example> (x)"},
		{"To: undisclosed-recipients:;", "To: undisclosed-recipients:;"},
		{"To: Ann Lee", "To: Ann Lee"}, // no address
		{"From: <>", "From: <>"},
		{"To:", "To:"},
		{`To: "root`, `To: "root`},
		{"To: root (x", "To: root (x"},
		{"To: <root", "To: <root"},
		{"Subject: root", "Subject: root"},
	} {
		header, err := mail.ReadHeader(bufio.NewReader(strings.NewReader(c.in+"\r\n\r\n")), 1<<20)
		if err != nil {
			t.Fatalf("%q: %v", c.in, err)
		}
		qualify(header, "h.example")
		if got := string(header.Bytes()); got != c.want+"\r\n" {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want+"\r\n")
		}
	}
}

// What is inserted is all that changes, and a second time nothing does.
func FuzzQualify(f *testing.F) {
	for _, s := range []string{" root (Cron Daemon)", ` "(Cron Daemon)" <root>`, " a: b, c <d>;, e", ` "a\"b" (c(d)\)) [x]`, "<<>>,,;:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		field, err := mail.NewField("To", value)
		if err != nil {
			return
		}
		raw := string(field.Raw)
		out := string(qualifyField(field.Raw, "h.example"))
		if strings.ReplaceAll(out, "@h.example", "") != strings.ReplaceAll(raw, "@h.example", "") {
			t.Fatalf("%q became %q", raw, out)
		}
		if again := string(qualifyField([]byte(out), "h.example")); again != out {
			t.Fatalf("%q, again %q", out, again)
		}
		if string(field.Raw) != raw {
			t.Fatal("the original was changed")
		}
	})
}
