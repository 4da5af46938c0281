package smtpd

import (
	"bytes"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"mailgate/internal/door"
)

func TestDSN(t *testing.T) {
	r := start(t, nil)
	k := r.talk(t)
	for _, c := range []struct {
		mail, rcpt       string
		want             string // reply of the command that is refused; empty: none
		id, ret          string
		notify, original string
	}{
		{mail: "", rcpt: ""},
		{mail: " RET=FULL ENVID=QQ314159", rcpt: " NOTIFY=SUCCESS ORCPT=rfc822;Bob@Gmail.com", id: "QQ314159", ret: "FULL", notify: "SUCCESS", original: "rfc822;Bob@Gmail.com"},
		{mail: " ret=hdrs envid=a+2Bb+20c", rcpt: " notify=failure,delay orcpt=RFC822;b+2Bc@gmail.com", id: "a+b c", ret: "HDRS", notify: "FAILURE,DELAY", original: "rfc822;b+c@gmail.com"},
		{rcpt: " NOTIFY=NEVER", notify: "NEVER"},
		{rcpt: " ORCPT=utf-8;j\\x{F6}rg@gmail.com", original: "utf-8;j\u00f6rg@gmail.com"},
		{mail: " ENVID=" + strings.Repeat("x", 100), id: strings.Repeat("x", 100)},
		{mail: " ENVID=" + strings.Repeat("x", 101), want: "501"},
		{mail: " ENVID=a+0Ab", want: "501"},
		{mail: " ENVID=a+0", want: "501"},
		{mail: " ENVID=", want: "501"},
		{mail: " RET=SOME", want: "501"},
		{rcpt: " NOTIFY=NEVER,SUCCESS", want: "501"},
		{rcpt: " NOTIFY=", want: "501"},
		{rcpt: " NOTIFY=SOMETIMES", want: "501"},
		{rcpt: " ORCPT=rfc822;" + strings.Repeat("x", 493), original: "rfc822;" + strings.Repeat("x", 493)},
		{rcpt: " ORCPT=rfc822;" + strings.Repeat("x", 494), want: "501"},
		{rcpt: " ORCPT=rfc822;a+0D+0ABcc:+20x", want: "501"},
		{rcpt: " ORCPT=utf-8;a\\x{0A}Bcc:x", want: "501"},
		{rcpt: " ORCPT=utf-8;a\\x{200D}\\x{202E}x", want: "501"},
		{rcpt: " ORCPT=nothing", want: "501"},
	} {
		k.say("RSET", "250")
		k.send("MAIL FROM:<ann@example.com>" + c.mail + "\r\n")
		if got := k.reply(); c.want != "" && c.mail != "" {
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("MAIL%.60s: %q", c.mail, got)
			}
			continue
		}
		k.send("RCPT TO:<bob@gmail.com>" + c.rcpt + "\r\n")
		if got := k.reply(); c.want != "" {
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("RCPT%.60s: %q", c.rcpt, got)
			}
			continue
		}
		k.say("DATA", "354")
		k.send(letter + ".\r\n")
		k.want("250 2.0.0")
		m, _ := r.spool.last(t)
		d := m.Recipients[0].Delivery
		if m.EnvelopeID != c.id || m.Return != c.ret || d.Notify != c.notify || d.Original != c.original {
			t.Errorf("%s %s: ENVID %q RET %q NOTIFY %q ORCPT %q", c.mail, c.rcpt, m.EnvelopeID, m.Return, d.Notify, d.Original)
		}
	}
}

// FuzzSession sends a whole conversation. Whatever comes, replies are whole lines,
// and what is taken is fit to be kept and sent on.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"EHLO x\r\nMAIL FROM:<a@example.com> RET=FULL ENVID=a+2Bb\r\nRCPT TO:<b@example.net> NOTIFY=DELAY ORCPT=rfc822;a+2Bb@x\r\nDATA\r\n" + letter + ".\r\nQUIT\r\n",
		"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net> ORCPT=utf-8;\\x{F6}@x\r\nBDAT 5\r\nFrom:BDAT 7 LAST\r\n a@b\r\n\r\nRSET\r\n",
		"EHLO \x80(\r\nSTARTTLS\r\nAUTH PLAIN\r\n*\r\nVRFY x\r\nBDAT 3\r\nabc",
		"EHLO x\r\nMAIL FROM:<\"a b\"@example.com> SMTPUTF8\r\nRCPT TO:<\"b\\\"@c\"@example.net>\r\nDATA\r\nA:b\r\n\r\n.\r.\n\r\n.\r\n",
	} {
		f.Add([]byte(s))
	}
	line := regexp.MustCompile(`^[0-9]{3}[ -][ -~]*$`)
	f.Fuzz(func(t *testing.T, sent []byte) {
		store := &fakeSpool{}
		s := NewServer(Config{Name: "mx1.example.com", Gate: &fakeGate{}, Custody: store, Log: newLog(&logBuffer{})})
		wire := &script{in: bytes.NewReader(sent)}
		c := newConn(&door.Conn{Conn: wire}, s, &Listener{Trusted: func(netip.Addr) (Rights, bool) { return Rights{}, true }})
		c.client = netip.MustParseAddr("127.0.0.1")
		s.session(t.Context(), c)
		replies := wire.out.Bytes()
		for _, l := range bytes.Split(bytes.TrimSuffix(replies, []byte("\r\n")), []byte("\r\n")) {
			if len(replies) > 0 && !line.Match(l) {
				t.Errorf("reply line %q", l)
			}
		}
		for i, m := range store.taken {
			d := m.Recipients[0].Delivery
			for _, s := range []string{m.EnvelopeID, d.Original, d.Notify, m.Envelope.From.String(), m.Recipients[0].Address.String(), m.Envelope.Helo} {
				if strings.ContainsFunc(s, unicode.IsControl) || len(s) > maxOriginal {
					t.Errorf("kept %q", s)
				}
			}
			content := store.bytes[i]
			if strings.ContainsAny(strings.ReplaceAll(content, "\r\n", ""), "\r\n") || !strings.HasSuffix(content, "\r\n") {
				t.Errorf("kept %q", content)
			}
			if p := string(m.Prefix); strings.ContainsAny(strings.ReplaceAll(p, "\r\n", ""), "\r\n") || strings.Contains(p, "\r\n\r\n") {
				t.Errorf("prefix %q", p)
			}
		}
	})
}

// script is a client that says what it has to say and goes.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
