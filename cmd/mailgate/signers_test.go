package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

var signedBy = regexp.MustCompile(`(?m)^[ \t]s=([a-z]+);`)

// signersOf are the selectors of a message's signatures, in their order.
func signersOf(content string) string {
	var selectors []string
	for _, found := range signedBy.FindAllStringSubmatch(content, -1) {
		selectors = append(selectors, found[1])
	}
	return strings.Join(selectors, " ")
}

// Of two keys of which one isn't published, only the other's signature is on the wire,
// on new mail and on what is released; once both are, both sign. It is told once.
func TestUnpublishedKeyDoesNotSign(t *testing.T) {
	s := startRelaySite(t, "trusted = [\"127.0.0.0/8\"]\n")
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteKey(filepath.Join(s.dir, "keys", "next.pem"), signer); err != nil {
		t.Fatal(err)
	}
	next := sign.Key{Domain: "one.example", Selector: "next", Signer: signer}
	s.reconfigure(`file = "keys/one.pem" }`, `file = "keys/one.pem" }, { selector = "next", file = "keys/next.pem" }`)
	expect := func(what, want, dkim string) {
		t.Helper()
		a := s.awaitArrival()
		if got := signersOf(a.content); got != want || a.dkim != dkim {
			t.Errorf("%s: signed by %q, want %q; DKIM %s\n%s", what, got, want, a.dkim, a.content)
		}
	}
	told := func(words string, want int) {
		t.Helper()
		if n := strings.Count(s.log.String(), words); n != want {
			t.Errorf("%q is in the log %d times, want %d", words, n, want)
		}
	}

	s.mustSend("held while no key is published", "bob@gmail.test")
	s.awaitState("held while no key is published", "held")
	if err := s.dns.AddTXT(next.Name(), next.Record()); err != nil {
		t.Fatal(err)
	}
	expect("released", "next", "pass")
	s.mustSend("new", "bob@gmail.test")
	expect("new", "next", "pass")
	s.mustSend("another", "bob@other.test")
	expect("another", "next", "pass")
	told("a key doesn't sign", 1)
	told("selector=mail signing=next finding=dkim-missing", 1)

	s.publish()
	l := s.gateway.live.Load()
	l.view.checker.Recheck(t.Context(), l.gate.Identity("one.example", mail.Address{Local: "ann", Domain: "one.example"}))
	s.mustSend("both", "bob@gmail.test")
	expect("both", "mail next", "2 signatures")
	told("a key signs again", 1)
	told("a key doesn't sign", 1)
}
