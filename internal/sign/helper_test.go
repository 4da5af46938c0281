package sign

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/mail"
)

var testKeys = sync.OnceValue(func() []Key {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	edKey, err := Generate("ed25519")
	if err != nil {
		panic(err)
	}
	return []Key{
		{Domain: "example.com", Selector: "mail", Signer: rsaKey},
		{Domain: "example.com", Selector: "mail-e", Signer: edKey},
	}
})

// crlf writes a message as tests show it with the line ends of the wire.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// onWire ends the last line, as SMTP does.
func onWire(message []byte) []byte {
	if bytes.HasSuffix(message, []byte("\r\n")) {
		return message
	}
	return append(bytes.Clone(message), "\r\n"...)
}

// message splits a message into its header and its body.
func message(t testing.TB, text string) (mail.Header, []byte) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	header, err := mail.ReadHeader(r, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return header, body
}

// signText signs a message and returns it with its signatures.
func signText(t testing.TB, text string, keys []Key, o Options) []byte {
	t.Helper()
	header, body := message(t, text)
	s, err := NewStream(keys, header, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Cancel()
	if _, err := s.Write(body); err != nil {
		t.Fatal(err)
	}
	fields, err := s.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return append(mail.Header(fields).Bytes(), text...)
}

// zone answers with the records of keys.
func zone(keys ...Key) func(string) ([]string, error) {
	return func(name string) ([]string, error) {
		for _, k := range keys {
			if k.Name() == name {
				return []string{k.Record()}, nil
			}
		}
		return nil, errors.New("no such record: " + name)
	}
}

// verify checks that a message has n signatures, and that all are good.
func verify(t testing.TB, signed []byte, n int, lookup func(string) ([]string, error)) []*dkim.Verification {
	t.Helper()
	found, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != n {
		t.Fatalf("%d signatures, want %d", len(found), n)
	}
	for i, v := range found {
		if v.Err != nil {
			t.Errorf("signature %d: %v", i, v.Err)
		}
	}
	return found
}

// plain is a message of the simplest kind.
var plain = crlf("From: Joe <joe@example.com>\nTo: suzie@example.net\nSubject: Dinner\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\nMessage-ID: <1@example.com>\n\nHi.\n\nWe lost.\n")

// messages are the shapes a signature must survive.
var messages = map[string]string{
	"plain":              plain,
	"empty body":         crlf("From: joe@example.com\nSubject: x\n\n"),
	"no final newline":   crlf("From: joe@example.com\n\nlast line"),
	"no newline, spaces": crlf("From: joe@example.com\n\nlast line \t "),
	"one blank line":     crlf("From: joe@example.com\n\n\n"),
	"only white space":   crlf("From: joe@example.com\n\n \t\n  \n"),
	"dot lines":          crlf("From: joe@example.com\n\n.\n..\n.x\n\n.\n"),
	"trailing blanks":    crlf("From: joe@example.com\n\ntext\n\n \n\t\n\n\n"),
	"leading blanks":     crlf("From: joe@example.com\n\n\n\n \ntext\n"),
	"white-space runs":   crlf("From: joe@example.com\nSubject:   a \t  b  \n\na  b\t\tc \t d  \n  e\t\n"),
	"8-bit":              crlf("From: joe@example.com\nSubject: latin\n\ncaf\xe9 \xff\xfe\x00\x01\n"),
	"UTF-8 header":       crlf("From: Jo\u00e9 <joe@example.com>\nSubject: \u65e5\u672c\u8a9e \u00a0 x\n\n\u65e5\u672c\n"),
	"folded header": crlf("From: Joe\n <joe@example.com>\nTo: a@example.net,\n\tb@example.net,\n   c@example.net\n" +
		"Subject:\n folded\n \n at odd\t \n\tplaces\n\nx\n"),
	"duplicate names": crlf("To: a@example.net\nFrom: joe@example.com\nTo: b@example.net\nSubject: one\n" +
		"SUBJECT: two\nReceived: x\nReceived: y\nsender: s@example.com\nSender: t@example.com\n\nx\n"),
	"many of a name":  crlf("From: joe@example.com\n"+strings.Repeat("To: x@example.net\n", 50)) + crlf("To: last@example.net\n\nx\n"),
	"odd colons":      crlf("from:joe@example.com\nsubject:a:b: c\nMIME-Version: 1.0\n\nx\n"),
	"long lines":      crlf("From: joe@example.com\nReferences: " + strings.Repeat("<x@example.com> ", 50) + "\n\n" + strings.Repeat("x ", 5000) + "\n"),
	"unsigned fields": crlf("Received: from x by y\nX-Mailer: z\nFrom: joe@example.com\nList-Unsubscribe: <https://example.com/u>\n\nx\n"),
}

// failing is an engine that can't sign.
type failing struct {
	crypto.Signer
	sign func() ([]byte, error)
}

func (f failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.sign() }
