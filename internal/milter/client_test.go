package milter

import (
	"net"
	"strings"
	"testing"

	mta "github.com/d--j/go-milter"
)

// mtaSession is an MTA's side of one SMTP session.
type mtaSession struct {
	*mta.ClientSession
	t      testing.TB
	macros *mta.MacroBag
}

// smtpClient is who the MTA says is talking to it.
type smtpClient struct {
	host, addr, user string
	family           mta.ProtoFamily
	port             uint16
}

var (
	trustedClient = smtpClient{host: "app.example.com", addr: "192.0.2.7", family: mta.FamilyInet, port: 4711}
	stranger      = smtpClient{host: "mx.example.net", addr: "198.51.100.9", family: mta.FamilyInet, port: 25025}
)

// session opens a milter session for an SMTP client.
func (r *rig) session(t testing.TB, c smtpClient, opts ...mta.Option) *mtaSession {
	t.Helper()
	macros := mta.NewMacroBag()
	macros.Set(mta.MacroMTAFQDN, "mail.example.com")
	if c.user != "" {
		macros.Set(mta.MacroAuthAuthen, c.user)
	}
	patient := []mta.Option{mta.WithReadTimeout(hang), mta.WithWriteTimeout(hang), mta.WithDialer(&net.Dialer{Timeout: hang})}
	s, err := mta.NewClient(r.network, r.address, append(patient, opts...)...).Session(macros)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	m := &mtaSession{ClientSession: s, t: t, macros: macros}
	m.on(s.Conn(c.host, c.family, c.port, c.addr))
	m.on(s.Helo("helo.example.com"))
	return m
}

// on wants "continue".
func (m *mtaSession) on(a *mta.Action, err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
	if a.Type != mta.ActionContinue {
		m.t.Fatalf("answer %v, want continue", a)
	}
}

// letter is a message to send.
type letter struct {
	from   string
	to     []string
	header string // LF line ends
	body   string
	qid    string
}

func hello(to ...string) letter {
	return letter{from: "ann@example.com", to: to, qid: "4XYZ",
		header: "From: Ann <ann@example.com>\nTo: somebody\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <1@example.com>\n",
		body:   "Hello,\r\nworld\r\n"}
}

// answer is what the MTA was told in the end.
type answer struct {
	*mta.Action
	edits []mta.ModifyAction
	atEOH bool
}

// send sends a message and returns the final answer.
func (m *mtaSession) send(l letter) answer {
	m.t.Helper()
	a, ok := m.head(l)
	if ok {
		return a
	}
	for chunk := []byte(l.body); len(chunk) > 0; {
		n := min(len(chunk), 65535)
		act, err := m.BodyChunk(chunk[:n])
		if err != nil {
			m.t.Fatal(err)
		}
		if act.Type == mta.ActionSkip {
			break
		}
		m.on(act, nil)
		chunk = chunk[n:]
	}
	if l.body == "" {
		m.on(m.BodyChunk(nil))
	}
	edits, act, err := m.End()
	if err != nil {
		m.t.Fatal(err)
	}
	return answer{Action: act, edits: edits}
}

// head sends envelope and header; ok says that the answer is final.
func (m *mtaSession) head(l letter) (a answer, ok bool) {
	m.t.Helper()
	m.macros.Set(mta.MacroQueueId, l.qid)
	m.on(m.Mail(l.from, ""))
	for _, to := range l.to {
		m.on(m.Rcpt(to, ""))
	}
	m.on(m.DataStart())
	for _, f := range fields(l.header) {
		m.on(m.HeaderField(f[0], f[1], nil))
	}
	act, err := m.HeaderEnd()
	if err != nil {
		m.t.Fatal(err)
	}
	if act.Type == mta.ActionContinue {
		return answer{}, false
	}
	if err := m.Abort(nil); err != nil { // as Postfix does
		m.t.Fatal(err)
	}
	return answer{Action: act, atEOH: true}, true
}

// fields splits a header as an MTA with header-leading-space does.
func fields(header string) [][2]string {
	var all [][2]string
	for line := range strings.Lines(header) {
		line = strings.TrimSuffix(line, "\n")
		if n := len(all); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			all[n-1][1] += "\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		all = append(all, [2]string{name, value})
	}
	return all
}

// want checks the kind of the final answer.
func (a answer) want(t testing.TB, kind mta.ActionType) answer {
	t.Helper()
	if a.Type != kind {
		t.Fatalf("answer %v, want kind %d", a.Action, kind)
	}
	return a
}

// wantReply checks a refusal.
func (a answer) wantReply(t testing.TB, reply string) {
	t.Helper()
	if a.want(t, mta.ActionRejectWithCode); !strings.HasPrefix(a.SMTPReply, reply) {
		t.Errorf("reply %q, want %q", a.SMTPReply, reply)
	}
}
