package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
)

const signedAfresh = "DKIM-Signature: fresh\nReceived: from x by relay.example.com\nFrom: ann"

func TestSigning(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*spool.Message)
		fails  error
		want   string // the beginning of what arrives; empty: nothing does
	}{
		"signed just now":    {func(*spool.Message) {}, nil, "DKIM-Signature: old\nReceived: "},
		"signed a day ago":   {func(m *spool.Message) { m.Signed = m.Signed.Add(-24 * time.Hour) }, nil, signedAfresh},
		"without signature":  {func(m *spool.Message) { m.Signed, m.Prefix = time.Time{}, m.Prefix[21:] }, nil, signedAfresh},
		"was held by milter": {func(m *spool.Message) { m.Signed, m.Prefix = time.Time{}, nil }, nil, "DKIM-Signature: fresh\nReceived: from localhost\n\tby relay.example.com (mailgate) id "},
		"can't be signed":    {func(m *spool.Message) { m.Signed = time.Time{} }, errors.New("no key"), ""},
		"foreign": {func(m *spool.Message) {
			m.Signed, m.Prefix, m.From = time.Time{}, []byte("Received: from y by relay.example.com\r\n"), address("x@foreign.example")
		}, nil, "Received: from y by relay.example.com\nFrom: ann"},
		"key taken away since": {func(m *spool.Message) {
			m.Signed, m.From = m.Signed.Add(-25*time.Hour), address("x@foreign.example")
		}, nil, "DKIM-Signature: old\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.signing = c.fails
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
			m := w.queue(c.change, "bob@dest.example")
			w.pass()
			if c.want == "" {
				w.want(m, spool.Queued, "can't get the message ready: sign the message: no key")
				if len(b.got()) != 0 {
					t.Errorf("left unsigned: %+v", b.got())
				}
				return
			}
			w.want(m, spool.Delivered, "250")
			if got := b.got()[0].content; !strings.HasPrefix(got, c.want) || strings.Count(got, "DKIM-Signature") > 1 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A server that can't take a message as it is: it goes back, with the reason.
func TestUnfit(t *testing.T) {
	eightBit := func(m *spool.Message) { m.Evidence = []byte("Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n") }
	inHeader := func(m *spool.Message) {
		m.Evidence, m.Envelope.SMTPUTF8 = []byte("Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n"), true
	}
	flagOnly := func(m *spool.Message) { m.Envelope.SMTPUTF8 = true }
	all := []string{"8BITMIME", "SMTPUTF8", "SIZE 0"}
	for name, c := range map[string]struct {
		extensions []string
		change     func(*spool.Message)
		to         string
		status     string // empty: it is delivered
	}{
		"8-bit, all":              {all, eightBit, "bob@dest.example", ""},
		"8-bit, none":             {[]string{}, eightBit, "bob@dest.example", "5.6.3"},
		"7-bit, none":             {[]string{}, nil, "bob@dest.example", ""},
		"UTF-8 header, all":       {all, inHeader, "bob@dest.example", ""},
		"UTF-8 header, none":      {[]string{"8BITMIME"}, inHeader, "bob@dest.example", "5.6.7"},
		"UTF-8 said, not needed":  {[]string{}, flagOnly, "bob@dest.example", ""},
		"UTF-8 recipient, none":   {[]string{"8BITMIME"}, nil, "bøb@dest.example", "5.6.7"},
		"UTF-8 recipient, all":    {all, nil, "bøb@dest.example", ""},
		"too large":               {[]string{"SIZE 100"}, nil, "bob@dest.example", "5.3.4"},
		"bare LF":                 {all, func(m *spool.Message) { m.Evidence = []byte("Subject: x\r\n\r\na\nb\r\n") }, "bob@dest.example", "5.6.11"},
		"bare CR":                 {all, func(m *spool.Message) { m.Evidence = []byte("Subject: x\r\n\r\na\rb\r\n") }, "bob@dest.example", "5.6.11"},
		"last line without CRLF":  {all, func(m *spool.Message) { m.Evidence = []byte("Subject: x\r\n\r\nend") }, "bob@dest.example", ""},
		"8BITMIME in lower case":  {[]string{"8bitmime", "size 100000"}, eightBit, "bob@dest.example", ""},
		"Latin 1 without a claim": {all, func(m *spool.Message) { m.Evidence = []byte("Subject: Gr\xfc\xdfe\r\n\r\nx\r\n") }, "bob@dest.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{extensions: c.extensions})
			m := w.queue(c.change, c.to)
			w.pass()
			if c.status == "" {
				w.want(m, spool.Delivered, "250")
				mail := b.got()[0].from
				if strings.Contains(mail, "SMTPUTF8") != (strings.HasPrefix(name, "UTF-8") && strings.HasSuffix(name, "all")) {
					t.Errorf("%s", mail)
				}
				return
			}
			w.want(m, spool.Bounced, "")
			if all := strings.Join(w.reports(), ""); !strings.Contains(all, "Status: "+c.status) || len(b.got()) != 0 {
				t.Errorf("%d messages; %s", len(b.got()), all)
			}
		})
	}
}

// dsnServer is go-smtp's, which knows DSN.
type dsnServer struct {
	mail *smtp.MailOptions
	rcpt *smtp.RcptOptions
	got  string
}

func (d *dsnServer) NewSession(*smtp.Conn) (smtp.Session, error) { return d, nil }
func (d *dsnServer) Reset()                                      {}
func (d *dsnServer) Logout() error                               { return nil }
func (d *dsnServer) Mail(_ string, o *smtp.MailOptions) error    { d.mail = o; return nil }
func (d *dsnServer) Rcpt(_ string, o *smtp.RcptOptions) error    { d.rcpt = o; return nil }
func (d *dsnServer) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.got = string(b)
	return err
}

// What the sender asked to be told is passed on; a server that can't do it leaves
// it to us.
func TestDSNParameters(t *testing.T) {
	for _, knows := range []bool{true, false} {
		w := newWorld(t)
		w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := &dsnServer{}
		s := smtp.NewServer(d)
		s.EnableDSN = knows
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		w.boxes[addr("203.0.113.5")] = &box{listener: l}

		m := w.queue(func(m *spool.Message) {
			m.EnvelopeID, m.Return = "QQ314159", "HDRS"
			m.Recipients[0].Delivery.Notify, m.Recipients[0].Delivery.Original = "SUCCESS,FAILURE", "rfc822;robert+x@dest.example"
		}, "bob@dest.example")
		w.pass()
		w.want(m, spool.Delivered, "250")
		if !strings.HasSuffix(d.got, letter) {
			t.Errorf("%q", d.got)
		}
		all := strings.Join(w.reports(), "")
		if !knows {
			if !strings.Contains(all, "Action: relayed") || !strings.Contains(all, "Original-Envelope-Id: QQ314159") || !strings.Contains(all, "Original-Recipient: rfc822;robert+x@dest.example") {
				t.Errorf("reports: %s", all)
			}
			continue
		}
		if d.mail.EnvelopeID != "QQ314159" || d.mail.Return != "HDRS" || len(d.rcpt.Notify) != 2 || d.rcpt.OriginalRecipient != "robert+x@dest.example" || all != "" {
			t.Errorf("%+v, %+v; %s", d.mail, d.rcpt, all)
		}
	}
}

func TestNotifyWords(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "NEVER": 1, "never": 1, "SUCCESS,FAILURE,DELAY": 3, "NEVER,SUCCESS": 0, "SUCCESS,SUCCESS": 0, "OFTEN": 0, "SUCCESS ": 0, "SUCCESS,": 0,
	} {
		if got := notifyWords(s); len(got) != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// The shape of a message is the same however it is cut into pieces.
func FuzzShape(f *testing.F) {
	for _, s := range []string{letter, "a\rb", "a\nb", "\r\n\r\n\xff", "S: \xff\r\n\r\n", "\r", "\n", "\r\r\n", "end\r"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = min(max(n, 1), len(s)+1)
		var whole, cut shape
		whole.Write([]byte(s))
		for rest := []byte(s); len(rest) > 0; {
			k := min(n, len(rest))
			cut.Write(rest[:k])
			rest = rest[k:]
		}
		if whole != cut {
			t.Fatalf("%+v, in pieces %+v", whole, cut)
		}
		b := []byte(s)
		bare := bytes.Count(b, []byte("\r\n")) != bytes.Count(b, []byte("\n")) || bytes.Count(b, []byte("\r\n")) != bytes.Count(b, []byte("\r"))
		if whole.isBare() != bare {
			t.Fatalf("bare %v, want %v", whole.isBare(), bare)
		}
		head, _, _ := bytes.Cut(append([]byte("\r\n"), b...), []byte("\r\n\r\n"))
		if !bare && whole.header8 != bytes.ContainsFunc(head, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("8-bit header: %v", whole.header8)
		}
	})
}

func TestWithoutSignatures(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "A: b\r\n": "A: b\r\n", "dkim-signature: a;\r\n\tb\r\nA: b\r\nDKIM-Signature: c\r\n": "A: b\r\n", "no header": "no header",
	} {
		if got := string(withoutSignatures([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
