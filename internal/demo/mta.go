package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-milter"
	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// mta stands in for Postfix: it takes mail, asks the milter, does as told and
// delivers to the MX. Without a milter it is what the site had before.
type mta struct {
	milter    string
	names     *names
	receivers map[string]*receiver // by MX host
	policy    func(context.Context, mail.Domain) (tlspolicy.Policy, error)
	server    *smtp.Server
	listener  net.Listener
	queueIDs  atomic.Int64
}

func startMTA(milterAddress string, n *names, receivers map[string]*receiver) (*mta, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the demo's mail server: %w", err)
	}
	m := &mta{milter: milterAddress, names: n, receivers: receivers, listener: listener}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mtaSession{mta: m}, nil
	}))
	m.server.Domain = "mx1.demo.test"
	m.server.ErrorLog = quiet{}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

func (m *mta) Addr() string { return m.listener.Addr().String() }
func (m *mta) Close() error { return m.server.Close() }

// mtaSession takes what mailgate releases.
type mtaSession struct {
	mta  *mta
	from string
	to   []string
}

func (s *mtaSession) Reset()        { s.from, s.to = "", nil }
func (s *mtaSession) Logout() error { return nil }

func (s *mtaSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *mtaSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *mtaSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, err = s.mta.Submit(context.Background(), s.from, s.to, content)
	return err
}

// delivery is what became of one recipient.
type delivery struct {
	to     string
	answer string // of the receiver, or of the milter
	err    error
	held   bool // taken into mailgate's custody
}

// Submit takes a message as Postfix would: milter first, then delivery. An error
// is the milter's refusal.
func (m *mta) Submit(ctx context.Context, from string, to []string, content []byte) ([]delivery, error) {
	verdict, err := m.askMilter(from, to, content)
	if err != nil {
		return nil, err
	}
	var done []delivery
	for _, rcpt := range to {
		if verdict.removed[rcpt] {
			done = append(done, delivery{to: rcpt, held: true})
			continue
		}
		answer, err := m.Deliver(ctx, from, rcpt, verdict.content)
		done = append(done, delivery{to: rcpt, answer: answer, err: err})
	}
	return done, nil
}

// verdict is the milter's: the message as changed, without the recipients removed.
type verdict struct {
	content []byte
	removed map[string]bool
}

func (m *mta) askMilter(from string, to []string, content []byte) (*verdict, error) {
	client := milter.NewClientWithOptions("tcp", m.milter, milter.ClientOptions{
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptRemoveRcpt,
	})
	defer client.Close()
	session, err := client.Session()
	if err != nil {
		return nil, fmt.Errorf("reach the milter: %w", err)
	}
	defer session.Close()
	header, body, err := splitMessage(content)
	if err != nil {
		return nil, err
	}
	if err := m.sendEnvelope(session, from, to); err != nil {
		return nil, err
	}
	for _, f := range header {
		if _, err := session.HeaderField(f.Name, milterValue(f)); err != nil {
			return nil, err
		}
	}
	if action, err := session.HeaderEnd(); err != nil || refused(action) {
		return nil, answerOf(action, err)
	}
	changes, action, err := session.BodyReadFrom(bytes.NewReader(body))
	if err != nil || refused(action) {
		return nil, answerOf(action, err)
	}
	return apply(header, body, to, changes, action), nil
}

// milterValue is the field as a milter is shown it that didn't ask for the leading
// space: without it, folds ended by LF.
func milterValue(f mail.Field) string {
	value := strings.TrimSuffix(string(f.Raw[len(f.Name)+1:]), "\r\n")
	return strings.ReplaceAll(strings.TrimPrefix(value, " "), "\r\n", "\n")
}

func (m *mta) sendEnvelope(session *milter.ClientSession, from string, to []string) error {
	queueID := "D" + strconv.FormatInt(m.queueIDs.Add(1)+0x3A00, 16)
	if _, err := session.Conn("localhost", milter.FamilyInet, 2525, "127.0.0.1"); err != nil {
		return err
	}
	if _, err := session.Helo("mail.office.test"); err != nil {
		return err
	}
	if err := session.Macros(milter.CodeMail, "i", queueID); err != nil {
		return err
	}
	if action, err := session.Mail(from, nil); err != nil || refused(action) {
		return answerOf(action, err)
	}
	for _, rcpt := range to {
		if action, err := session.Rcpt(rcpt, nil); err != nil || refused(action) {
			return answerOf(action, err)
		}
	}
	return nil
}

func refused(a *milter.Action) bool {
	return a != nil && (a.Code == milter.ActReject || a.Code == milter.ActTempFail || a.Code == milter.ActReplyCode)
}

func answerOf(a *milter.Action, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("ask the milter: %w", err)
	case a.Code == milter.ActReplyCode:
		return fmt.Errorf("refused by the milter: %d %s", a.SMTPCode, a.SMTPText)
	case a.Code == milter.ActTempFail:
		return fmt.Errorf("the milter says: try again later")
	}
	return fmt.Errorf("refused by the milter")
}

func splitMessage(content []byte) (mail.Header, []byte, error) {
	r := bufio.NewReader(bytes.NewReader(content))
	header, err := mail.ReadHeader(r, 1<<20)
	if err != nil {
		return nil, nil, fmt.Errorf("read the message: %w", err)
	}
	body, err := io.ReadAll(r)
	return header, body, err
}

// apply does to the message what the milter asked for. Inserted fields are at
// index 0: each goes above those before it.
func apply(header mail.Header, body []byte, to []string, changes []milter.ModifyAction, action *milter.Action) *verdict {
	v := &verdict{removed: map[string]bool{}}
	var top string
	dropped := map[string]bool{}
	for _, c := range changes {
		switch c.Code {
		case milter.ActInsertHeader:
			top = c.HeaderName + ": " + strings.ReplaceAll(strings.TrimPrefix(c.HeaderValue, " "), "\n", "\r\n") + "\r\n" + top
		case milter.ActChangeHeader:
			dropped[c.HeaderName] = c.HeaderValue == ""
		case milter.ActDelRcpt:
			v.removed[strings.Trim(c.Rcpt, "<>")] = true
		}
	}
	if action.Code == milter.ActDiscard {
		for _, rcpt := range to {
			v.removed[rcpt] = true
		}
	}
	var b bytes.Buffer
	b.WriteString(top)
	for _, f := range header {
		if !dropped[f.Name] {
			b.Write(f.Raw)
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	v.content = b.Bytes()
	return v
}
