package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sendmail runs the command with a message on standard input.
func (s *relaySite) sendmail(message string, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot(&app{})
	root.SetIn(strings.NewReader(message))
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"sendmail", "--config", filepath.Join(s.dir, "mailgate.toml")}, args...))
	err := root.ExecuteContext(s.t.Context())
	return out.String(), err
}

func TestSendmail(t *testing.T) {
	s := startRelaySite(t, "origin = \"one.example\"\n")
	s.publish()
	message := "From: ann@one.example\nTo: Bob <bob@gmail.test>,\n carol@other.test\nBcc: dan@other.test\nSubject: cron\n\nline\n.\nrest\n"
	for _, c := range []struct {
		name    string
		args    []string
		message string
		to      []string
		has     string
	}{
		{"-t -i", []string{"-t", "-i", "-f", "ann@one.example"}, message, []string{"bob@gmail.test", "carol@other.test", "dan@other.test"}, "line\r\n.\r\nrest\r\n"},
		{"a dot ends it", []string{"-oem", "-fann@one.example", "bob@gmail.test"}, message, []string{"bob@gmail.test"}, "\r\n\r\nline\r\n"},
		{"-oi", []string{"-oi", "-f", "ann@one.example", "bob@gmail.test"}, message, []string{"bob@gmail.test"}, "rest\r\n"},
		{"no From", []string{"-F", "Änn", "-f", "ann@one.example", "bob@gmail.test"}, "Subject: x\n\nhi", []string{"bob@gmail.test"}, "From: =?utf-8?q?=C3=84nn?= <ann@one.example>\r\n"},
		{"Debian's cron", []string{"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "bob@gmail.test"}, "From: root (Cron Daemon)\nTo: bob@gmail.test\nSubject: Cron\n\nout\n",
			[]string{"bob@gmail.test"}, "From: root@one.example (Cron Daemon)\r\n"},
		{"cronie", []string{"-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"}, "From: \"(Cron Daemon)\" <root>\nTo: bob@gmail.test\nSubject: Cron\n\nout\n",
			[]string{"bob@gmail.test"}, "From: \"(Cron Daemon)\" <root@one.example>\r\n"},
		{"--domain", []string{"-t", "--domain", "other.test"}, "From: ann@one.example\nTo: root\nSubject: Cron\n\nout\n", []string{"root@other.test"}, "To: root@other.test\r\n"},
		{"no body", []string{"-f", "ann@one.example", "bob@gmail.test"}, "From: ann@one.example\nSubject: x", []string{"bob@gmail.test"}, "Subject: x\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if out, err := s.sendmail(c.message, c.args...); err != nil {
				t.Fatalf("%q, %v", out, err)
			}
			var to []string
			for len(to) < len(c.to) {
				a := s.awaitArrival()
				to = append(to, a.to...)
				if a.dkim != "pass" || !strings.Contains(a.content, c.has) || strings.Contains(a.content, "Bcc:") {
					t.Errorf("DKIM %s\n%s\nwant %q", a.dkim, a.content, c.has)
				}
				if c.name == "a dot ends it" && strings.Contains(a.content, "rest") {
					t.Errorf("goes on after the dot:\n%s", a.content)
				}
			}
			if slices.Sort(to); !slices.Equal(to, c.to) {
				t.Errorf("to %v, want %v", to, c.to)
			}
		})
	}
	for _, c := range []struct {
		name    string
		args    []string
		message string
		code    int
	}{
		{"nobody", []string{"-t"}, "Subject: x\n\n", exitUsage},
		{"no address", []string{"bob@"}, "Subject: x\n\n", exitDataErr},
		{"no address in the header", []string{"-t"}, "To: <<\n\n", exitDataErr},
		{"no message", []string{"bob@gmail.test"}, "no header\n", exitDataErr},
		{"two authors", []string{"bob@gmail.test"}, "From: a@one.example\nFrom: b@one.example\n\n", exitUnavailable},
		{"a mode that isn't", []string{"-bv", "bob@gmail.test"}, "Subject: x\n\n", exitUsage},
		{"nobody there", []string{"--server", "127.0.0.1:1", "bob@gmail.test"}, "Subject: x\n\n", exitTempFail},
	} {
		if out, err := s.sendmail(c.message, c.args...); err == nil || exitCode(err) != c.code {
			t.Errorf("%s: %v, want code %d\n%s", c.name, err, c.code, out)
		}
	}
	_, err := s.sendmail("From: a@one.example\nFrom: b@one.example\n\n", "bob@gmail.test")
	if err == nil || !strings.Contains(err.Error(), "the relay's answer to the message: 550 5.") {
		t.Errorf("%v, want both codes of the answer", err)
	}
}
