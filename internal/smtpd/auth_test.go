package smtpd

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// withUsers is a listener for users only.
func withUsers(t testing.TB) *rig {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	users, err := NewAccounts([]Account{{"ann", hash, Rights{SendAs: []mail.Domain{"example.com"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return secured(t, TLSOffered, func(_ *Config, l *Listener) { l.Users, l.Trusted = users, nobody })
}

func TestAUTH(t *testing.T) {
	r := withUsers(t)
	for _, c := range []struct {
		name  string
		lines [][2]string
		in    bool
	}{
		{"PLAIN", [][2]string{{"AUTH PLAIN " + b64("\x00ann\x00correct horse"), "235"}}, true},
		{"PLAIN in two", [][2]string{{"AUTH PLAIN", "334"}, {b64("\x00ann\x00correct horse"), "235"}}, true},
		{"PLAIN as oneself", [][2]string{{"auth plain " + b64("ann\x00ann\x00correct horse"), "235"}}, true},
		{"PLAIN as another", [][2]string{{"AUTH PLAIN " + b64("root\x00ann\x00correct horse"), "535"}}, false},
		{"LOGIN", [][2]string{{"AUTH LOGIN", "334 VXNlcm5hbWU6"}, {b64("ann"), "334 UGFzc3dvcmQ6"}, {b64("correct horse"), "235"}}, true},
		{"LOGIN with user", [][2]string{{"AUTH LOGIN " + b64("ann"), "334 UGFzc3dvcmQ6"}, {b64("correct horse"), "235"}}, true},
		{"LOGIN with BDAT for a user", [][2]string{{"AUTH LOGIN", "334"}, {"BDAT", "334"}, {"DATA", "535"}}, false},
		{"wrong password", [][2]string{{"AUTH PLAIN " + b64("\x00ann\x00wrong"), "535 5.7.8"}}, false},
		{"no password", [][2]string{{"AUTH PLAIN " + b64("\x00ann\x00"), "535 5.7.8"}}, false},
		{"unknown user", [][2]string{{"AUTH PLAIN " + b64("\x00eve\x00correct horse"), "535 5.7.8"}}, false},
		{"given up", [][2]string{{"AUTH LOGIN", "334"}, {"*", "501"}}, false},
		{"not base64", [][2]string{{"AUTH PLAIN !!", "4"}}, false},
		{"CRAM-MD5", [][2]string{{"AUTH CRAM-MD5", "504 5.7.4"}}, false},
		{"twice", [][2]string{{"AUTH PLAIN " + b64("\x00ann\x00correct horse"), "235"}, {"AUTH PLAIN " + b64("\x00ann\x00wrong"), "503"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := r.talk(t)
			k.say("AUTH PLAIN "+b64("\x00ann\x00correct horse"), "523 5.7.10") // not before TLS
			if got := k.startTLS(); !strings.Contains(got, "250-AUTH PLAIN LOGIN\n") {
				t.Fatalf("EHLO says %q", got)
			}
			for _, line := range c.lines {
				k.say(line[0], line[1])
			}
			k.say("MAIL FROM:<ann@example.com>", "250")
			if !c.in {
				k.say("RCPT TO:<bob@gmail.com>", "550 5.7.1 relaying denied")
				return
			}
			k.say("AUTH PLAIN", "503")
			k.say("RCPT TO:<bob@gmail.com>", "250")
			k.say("DATA", "354")
			k.send(letter + ".\r\n")
			k.want("250 2.0.0 taken")
			m, _ := r.spool.last(t)
			if m.Envelope.User != "ann" || !strings.Contains(string(m.Prefix), "with ESMTPSA (TLS") {
				t.Errorf("user %q, prefix %q", m.Envelope.User, m.Prefix)
			}
			if got := k.deliver("From: eve@example.net\r\n\r\n"); !strings.HasPrefix(got, "550 5.7.1 authenticated as ann, it may not write as example.net") {
				t.Errorf("From of another: %q", got)
			}
		})
	}
}

type brokenUsers struct{}

func (brokenUsers) Check(context.Context, string, string) (Rights, bool, error) {
	return Rights{}, false, errors.New("no")
}

func TestAUTHFault(t *testing.T) {
	r := secured(t, TLSOffered, func(_ *Config, l *Listener) { l.Users = brokenUsers{} })
	k := r.talk(t)
	k.startTLS()
	k.say("AUTH PLAIN "+b64("\x00ann\x00x"), "454 4.7.0")
}

// A login of the first conversation is none of the second.
func TestNoAUTHWithoutUsers(t *testing.T) {
	k := secured(t, TLSOffered, nil).talk(t)
	if got := k.startTLS(); strings.Contains(got, "AUTH") {
		t.Errorf("EHLO says %q", got)
	}
	k.say("AUTH PLAIN "+b64("\x00ann\x00x"), "502")
}

func TestPasswords(t *testing.T) {
	hash, err := HashPassword("geheim")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", hash)
	}
	again, _ := HashPassword("geheim")
	if again == hash {
		t.Error("two hashes are the same: no salt")
	}
	for _, c := range []struct {
		hash, password string
		ok             bool
	}{
		{hash, "geheim", true},
		{hash, "Geheim", false},
		{hash, "", false},
		{hash, strings.Repeat("x", 2000), false},
		// argon2 -id of the reference implementation: echo -n password | argon2 somesalt -id -t 2 -k 1024 -p 1
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
	} {
		if ok, err := CheckPassword(c.hash, c.password); ok != c.ok || err != nil {
			t.Errorf("%s with %.20q: %v, %v", c.hash, c.password, ok, err)
		}
	}
	for _, p := range []string{"", strings.Repeat("x", 1025)} {
		if _, err := HashPassword(p); err == nil {
			t.Errorf("hashed a password of %d bytes", len(p))
		}
	}
}

func TestBadHashes(t *testing.T) {
	const salt, key = "c29tZXNhbHRzb21lc2FsdA", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, h := range []string{
		"", "secret", "$2y$10$abc", "$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=99999999,t=2,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=1000,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=2,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=2,p=300$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=2,p=1,x=2$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=2,p=1$$" + key,
		"$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$",
		"$argon2id$v=19$m=65536,t=2,p=1$" + salt + "=$" + key,
	} {
		if _, err := CheckPassword(h, "x"); err == nil {
			t.Errorf("%q is taken", h)
		}
		if _, err := NewAccounts([]Account{{Name: "ann", Hash: h}}); err == nil {
			t.Errorf("an account with %q is taken", h)
		}
	}
	good := "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + key
	if _, err := NewAccounts([]Account{{Name: "ann", Hash: good}, {Name: "ann", Hash: good}}); err == nil {
		t.Error("two accounts of one name")
	}
}

// Logins beyond two at a time wait, and not for ever.
func TestLoginsAreBounded(t *testing.T) {
	a, err := NewAccounts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for range hashesAtOnce {
		a.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := a.Check(ctx, "ann", "x"); ok || err == nil {
		t.Errorf("checked: %v, %v", ok, err)
	}
	<-a.slots
	if _, ok, err := a.Check(t.Context(), "ann", "x"); ok || err != nil {
		t.Errorf("unknown user: %v, %v", ok, err)
	}
}

func FuzzHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseHash(s)
		if err == nil && (a.String() != s || a.memory > maxHashMemory || a.time > maxHashTime || a.threads == 0) {
			t.Errorf("%q gives %q", s, a)
		}
	})
}
