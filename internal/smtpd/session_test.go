package smtpd

import (
	"strings"
	"testing"

	"mailgate/internal/spool"
)

func TestEHLO(t *testing.T) {
	r := start(t, nil)
	k := r.dial(t)
	k.want("220 mx1.example.com ESMTP")
	got := k.say("EHLO <script>", "250-mx1.example.com\n")
	want := "250-mx1.example.com\n250-PIPELINING\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n250-CHUNKING\n" +
		"250-SMTPUTF8\n250-DSN\n250 SIZE 36700160"
	if got != want {
		t.Errorf("EHLO says %q, want %q", got, want)
	}
	if got := k.say("HELO x", "250"); got != "250 mx1.example.com" {
		t.Errorf("HELO says %q", got)
	}
	k.say("QUIT", "221")
	k.closed()
}

func TestMessage(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	if got := k.deliver(letter); got != "250 2.0.0 taken as q7f3a" {
		t.Fatalf("reply %q", got)
	}
	m, content := r.spool.last(t)
	if content != letter {
		t.Errorf("kept %q", content)
	}
	prefix := "DKIM-Signature: a=rsa-sha256; d=example.com;\r\n\ts=mail; b=x\r\n" +
		"Received: from client.example.com ([127.0.0.1])\r\n\tby mx1.example.com with ESMTP\r\n\tid " + m.Envelope.QueueID +
		"\r\n\tfor <bob@gmail.com>;\r\n\tSat, 21 Nov 2026 16:22:03 +0000\r\n"
	if string(m.Prefix) != prefix {
		t.Errorf("prefix %q\nwant   %q", m.Prefix, prefix)
	}
	rcpt := m.Recipients[0]
	if m.Source != "relay" || m.Signed != r.Now() || rcpt.State != spool.Queued || rcpt.Delivery.Next != r.Now() || rcpt.Delivery.Expected != "accept" {
		t.Errorf("message %+v, recipient %+v", m, rcpt)
	}
	if m.From.String() != "ann@example.com" || m.Subject != "Hi" || m.MessageID != "<1@example.com>" || m.Envelope.Helo != "client.example.com" {
		t.Errorf("message %+v", m)
	}
	if body := string(r.gate.last(t).body); body != "Hello\r\n" {
		t.Errorf("the gate saw %q", body)
	}
	r.log.has(t, `id=q7f3a qid=`+m.Envelope.QueueID+` from=<ann@example.com> to=<bob@gmail.com> verdict=pass signed=example.com/mail domain=example.com client="client 127.0.0.1 is trusted" why=because`)
	k.say("QUIT", "221")
	k.closed()
}

// The second message of a session knows nothing of the first.
func TestSeveralMessages(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	k.deliver(letter, "hold@gmail.com")
	if got := k.deliver(letter); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	m, _ := r.spool.last(t)
	if len(m.Recipients) != 1 || m.Recipients[0].Address.Local != "bob" {
		t.Errorf("recipients %v", m.Recipients)
	}
}

func TestPipelining(t *testing.T) {
	r := start(t, nil)
	k := r.dial(t)
	k.want("220")
	k.send("EHLO x\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@gmail.com>\r\nRCPT TO:<b%c@gmail.com>\r\nDATA\r\n" +
		letter + ".\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
	for _, code := range []string{"250", "250 2.1.0", "250 2.1.5", "550 5.1.3", "354", "250 2.0.0 taken", "250 2.1.0", "250", "250", "221"} {
		k.want(code)
	}
	k.closed()
}

func TestSequence(t *testing.T) {
	k := start(t, nil).dial(t)
	k.want("220")
	for _, c := range [][2]string{
		{"MAIL FROM:<ann@example.com>", "503 5.5.1"},
		{"EHLO x", "250"},
		{"RCPT TO:<bob@gmail.com>", "503 5.5.1"},
		{"DATA", "503 5.5.1"},
		{"BDAT 0 LAST", "503 5.5.1"},
		{"VRFY bob", "252"},
		{"EXPN list", "502"},
		{"MAIL FROM:<ann@example.com> BODY=BINARYMIME", "504"},
		{"MAIL FROM:<ann@example.com> BODY=8BITMIME SIZE=1000", "250"},
		{"DATA", "503 5.5.1"},
		{"AUTH PLAIN", "523 5.7.10"},
		{"STARTTLS", "502 5.5.1"},
	} {
		k.say(c[0], c[1])
	}
}

func TestHeldAndPassed(t *testing.T) {
	r := start(t, nil)
	long := letter + strings.Repeat("x", 999) + "\r\n"
	if got := r.talk(t).deliver(long, "hold@gmail.com", "bob@example.net", "hold@gmail.com"); !strings.HasPrefix(got, "250") {
		t.Fatal(got)
	}
	m, _ := r.spool.last(t)
	if len(m.Recipients) != 2 || len(m.Envelope.To) != 2 {
		t.Fatalf("recipients %+v", m.Recipients)
	}
	held, passed := m.Recipients[0], m.Recipients[1]
	if held.State != spool.Held || held.Reason != spool.Refused || held.Rule != "gmail-unauthenticated" ||
		strings.Join(held.Codes, " ") != "dkim-missing line-too-long" || !held.Delivery.Next.IsZero() || held.Delivery.Expected != "refuse" {
		t.Errorf("held %+v", held)
	}
	if passed.State != spool.Queued || passed.Delivery.Next.IsZero() || passed.Codes != nil {
		t.Errorf("passed %+v", passed)
	}
	if strings.Contains(string(m.Prefix), "for <") {
		t.Errorf("Received names a recipient of several: %q", m.Prefix)
	}
	r.log.has(t, "notes=line-too-long")
	r.log.has(t, "verdict=hold")
}
