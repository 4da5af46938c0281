package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const maxToken = 256 // bytes; a longer token is none of ours

// message is the message in hand.
type message struct {
	server  *Server
	began   time.Time // end of the header
	env     mail.Envelope
	mtaName mail.Domain // for addresses without a domain
	trusted bool
	why     string // why it is trusted or not

	asGiven map[mail.Address][]string // recipients as the MTA wrote them, to delete them by
	header  mail.Header
	bytes   int // of header
	fields  int // header fields, tokens too

	tokenFields int
	token       string
	ours        bool   // let out by mailgate: it comes back from custody, or is a notice
	released    string // with ours: its id in custody; empty for a notice

	bounce  bool        // from the null sender
	fault   *gate.Reply // what is wrong with the message; concerns trusted clients only
	failure *gate.Reply // what went wrong here; concerns everyone

	ctx    context.Context // from end of header to the answer
	cancel context.CancelFunc
	tx     Transaction   // nil before the end of the header, and for mail that isn't judged
	broken bool          // the gate takes no more of the body; what comes of that, its Finish says
	copy   *spool.Buffer // the message as it came, if it may be held
}

func newMessage(s *Server, c client, user string) *message {
	m := &message{
		server: s,
		env:    mail.Envelope{Helo: c.helo, Host: c.host, User: user},
		cancel: func() {},
	}
	if !c.local {
		m.env.Client = c.addr
	}
	m.mtaName, _ = mail.ParseDomain(c.mtaName)
	m.trusted, m.why = c.trust(user, s.Trusted)
	return m
}

// isNotice reports whether mailgate itself wrote the message.
func (m *message) isNotice() bool { return m.ours && m.released == "" }

// fail notes a fault of ours; the first one counts.
func (m *message) fail(r *gate.Reply) {
	if m.failure == nil {
		m.failure = r
	}
}

// blame notes a fault of the message; the first one counts.
func (m *message) blame(code int, enhanced, format string, args ...any) {
	if m.fault == nil {
		m.fault = &gate.Reply{Code: code, Enhanced: enhanced, Text: fmt.Sprintf(format, args...)}
	}
}

// blamed reports whether the message is refused for its fault: that of a stranger
// isn't ours to judge, and a bounce is never rejected.
func (m *message) blamed() bool {
	return m.fault != nil && m.trusted && (!m.bounce || m.fault.Code < 500)
}

// queueID takes the MTA's queue id from the macros of any stage.
func (m *message) queueID(macros map[string]string) {
	if id := macro(macros, "i"); id != "" {
		m.env.QueueID = id
	}
}

func (m *message) sender(path string) {
	from, err := m.parsePath(path)
	if err != nil {
		m.blame(501, "5.1.7", "bad sender address: %v", err)
	}
	m.env.From = from
	m.bounce = err == nil && from.IsNull()
	m.env.SMTPUTF8 = m.env.SMTPUTF8 || from.NeedsUTF8()
}

func (m *message) recipient(path string) {
	if len(m.env.To) >= m.server.MaxRecipients {
		m.blame(452, "4.5.3", "too many recipients, at most %d", m.server.MaxRecipients)
		return
	}
	to, err := m.parsePath(path)
	if err == nil && to.IsNull() {
		err = errors.New("empty")
	}
	if err != nil {
		m.blame(501, "5.1.3", "bad recipient address: %v", err)
		return
	}
	if m.asGiven == nil {
		m.asGiven = make(map[mail.Address][]string, 1)
	}
	if _, known := m.asGiven[to]; !known {
		m.env.To = append(m.env.To, to)
	}
	m.asGiven[to] = append(m.asGiven[to], path)
	m.env.SMTPUTF8 = m.env.SMTPUTF8 || to.NeedsUTF8()
}

// parsePath parses an address of the envelope. One without a domain is the MTA's
// own, as the MTA will have it.
func (m *message) parsePath(path string) (mail.Address, error) {
	if path != "" && m.mtaName != "" && !strings.Contains(path, "@") {
		path += "@" + string(m.mtaName)
	}
	return mail.ParsePath(path)
}

// field takes a header field: the value as it stands after the colon.
func (m *message) field(name, value string) {
	if strings.EqualFold(strings.TrimRight(name, " \t"), spool.TokenHeader) {
		m.tokenFields++
		m.token = strings.TrimSpace(value)
		return
	}
	m.fields++
	m.bytes += len(name) + len(":") + len(value) + len("\r\n")
	if m.fields > m.server.MaxFields || m.bytes > m.server.MaxHeader {
		m.blame(552, "5.3.4", "header too large: at most %d fields and %d bytes", m.server.MaxFields, m.server.MaxHeader)
		m.header = nil
		return
	}
	f, err := mail.NewField(name, value)
	if err != nil {
		m.blame(550, "5.6.0", "malformed header: %v", err)
		return
	}
	m.header = append(m.header, f)
}

// wanted reports whether the body is.
func (m *message) wanted() bool { return m.failure == nil && m.tx != nil && !m.broken }

// write takes a piece of the body, to the gate and to the copy.
func (m *message) write(p []byte) {
	if !m.wanted() || len(p) == 0 {
		return
	}
	if _, err := m.tx.Write(p); err != nil {
		m.broken = true // its Err tells the log
		return
	}
	if m.copy == nil {
		return
	}
	if _, err := m.copy.Write(p); err != nil {
		m.noCopy(err)
	}
}

// keepCopy begins a copy of the message as it came.
func (m *message) keepCopy() {
	m.copy = spool.NewBuffer(m.server.SpillDir)
	for _, f := range m.header {
		if _, err := m.copy.Write(f.Raw); err != nil {
			m.noCopy(err)
			return
		}
	}
	if _, err := io.WriteString(m.copy, "\r\n"); err != nil {
		m.noCopy(err)
	}
}

func (m *message) noCopy(err error) {
	m.server.Metrics.failed("copy")
	m.server.Log.Error("milter: keep a copy of a message that may be held", "qid", m.env.QueueID, "error", err)
	m.fail(noRoom())
}

// discard frees what the message holds.
func (m *message) discard() {
	defer m.cancel()
	if m.copy != nil {
		m.copy.Close()
		m.copy = nil
	}
	if tx := m.tx; tx != nil {
		m.tx = nil
		tx.Cancel()
	}
}
