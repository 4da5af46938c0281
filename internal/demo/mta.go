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

// mtaSession takes what mailgate releases. The milter hears of every command, as
// from Postfix.
type mtaSession struct {
	mta  *mta
	talk *talk // nil between messages
}

func (s *mtaSession) Reset() {
	if s.talk != nil {
		s.talk.close()
		s.talk = nil
	}
}

func (s *mtaSession) Logout() error {
	s.Reset()
	return nil
}

func (s *mtaSession) Mail(from string, _ *smtp.MailOptions) (err error) {
	s.talk, err = s.mta.begin(from)
	return err
}

func (s *mtaSession) Rcpt(to string, _ *smtp.RcptOptions) error { return s.talk.rcpt(to) }

func (s *mtaSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v, err := s.talk.content(content)
	if err == nil {
		s.mta.deliverAll(context.Background(), s.talk, v)
	}
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
	t, err := m.begin(from)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for _, rcpt := range to {
		if err := t.rcpt(rcpt); err != nil {
			return nil, err
		}
	}
	v, err := t.content(content)
	if err != nil {
		return nil, err
	}
	return m.deliverAll(ctx, t, v), nil
}

func (m *mta) deliverAll(ctx context.Context, t *talk, v *verdict) []delivery {
	var done []delivery
	for _, rcpt := range t.to {
		if v.removed[rcpt] {
			done = append(done, delivery{to: rcpt, held: true})
			continue
		}
		answer, err := m.Deliver(ctx, t.from, rcpt, v.content)
		done = append(done, delivery{to: rcpt, answer: answer, err: err})
	}
	return done
}

// talk is what the milter is told of one message.
type talk struct {
	client  *milter.Client
	session *milter.ClientSession
	from    string
	to      []string
}

// verdict is the milter's: the message as changed, without the recipients removed.
type verdict struct {
	content []byte
	removed map[string]bool
}

func (m *mta) begin(from string) (*talk, error) {
	t := &talk{from: from, client: milter.NewClientWithOptions("tcp", m.milter, milter.ClientOptions{
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptRemoveRcpt,
	})}
	var err error
	if t.session, err = t.client.Session(); err != nil {
		return nil, fmt.Errorf("reach the milter: %w", err)
	}
	queueID := "D" + strconv.FormatInt(m.queueIDs.Add(1)+0x3A00, 16)
	if err := t.open(queueID); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *talk) open(queueID string) error {
	if _, err := t.session.Conn("localhost", milter.FamilyInet, 2525, "127.0.0.1"); err != nil {
		return err
	}
	if _, err := t.session.Helo("mail.office.test"); err != nil {
		return err
	}
	if err := t.session.Macros(milter.CodeMail, "i", queueID); err != nil {
		return err
	}
	action, err := t.session.Mail(t.from, nil)
	return answerOf(action, err)
}

func (t *talk) close() {
	t.session.Close()
	t.client.Close()
}

func (t *talk) rcpt(to string) error {
	t.to = append(t.to, to)
	action, err := t.session.Rcpt(to, nil)
	return answerOf(action, err)
}

func (t *talk) content(content []byte) (*verdict, error) {
	header, body, err := splitMessage(content)
	if err != nil {
		return nil, err
	}
	for _, f := range header {
		if _, err := t.session.HeaderField(f.Name, milterValue(f)); err != nil {
			return nil, err
		}
	}
	if action, err := t.session.HeaderEnd(); err != nil || refused(action) {
		return nil, answerOf(action, err)
	}
	changes, action, err := t.session.BodyReadFrom(bytes.NewReader(body))
	if err != nil || refused(action) {
		return nil, answerOf(action, err)
	}
	return apply(header, body, t.to, changes, action), nil
}

// milterValue is the field as a milter is shown it that didn't ask for the leading
// space: without it, folds ended by LF.
func milterValue(f mail.Field) string {
	value := strings.TrimSuffix(string(f.Raw[len(f.Name)+1:]), "\r\n")
	return strings.ReplaceAll(strings.TrimPrefix(value, " "), "\r\n", "\n")
}

func refused(a *milter.Action) bool {
	return a != nil && (a.Code == milter.ActReject || a.Code == milter.ActTempFail || a.Code == milter.ActReplyCode)
}

func answerOf(a *milter.Action, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("ask the milter: %w", err)
	case !refused(a):
		return nil
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
