package mtatest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-milter"
	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
)

// ErrMilterGone says that the milter can't be reached, or broke off.
var ErrMilterGone = errors.New("the milter doesn't answer")

const milterTimeout = 30 * time.Second

// talk is what the milter is told of one message.
type talk struct {
	milter  string
	session *milter.ClientSession
	from    string
	to      []string
}

// begin tells the milter of a new message.
func (m *MTA) begin(from string) (*talk, error) {
	t := &talk{from: from, milter: m.o.Milter()}
	network, address := "tcp", t.milter
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	var err error
	if t.session, err = milter.NewClientWithOptions(network, address, milter.ClientOptions{
		ReadTimeout: milterTimeout, WriteTimeout: milterTimeout,
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptRemoveRcpt,
	}).Session(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMilterGone, err)
	}
	queueID := "D" + strconv.FormatInt(m.queueIDs.Add(1)+0x3A00, 16)
	if err := t.open(queueID); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *talk) open(queueID string) error {
	if action, err := t.session.Conn("localhost", milter.FamilyInet, 2525, "127.0.0.1"); err != nil || refused(action) {
		return answerOf(action, err)
	}
	if action, err := t.session.Helo("mail.office.test"); err != nil || refused(action) {
		return answerOf(action, err)
	}
	if err := t.session.Macros(milter.CodeMail, "i", queueID); err != nil {
		return answerOf(nil, err)
	}
	return answerOf(t.session.Mail(t.from, nil))
}

func (t *talk) close() { t.session.Close() }

func (t *talk) rcpt(to string) error {
	t.to = append(t.to, to)
	return answerOf(t.session.Rcpt(to, nil))
}

// content shows the milter the message and returns what it makes of it.
func (t *talk) content(content []byte) (*verdict, error) {
	header, body, err := splitMessage(content)
	if err != nil {
		return nil, err
	}
	for _, f := range header {
		if action, err := t.session.HeaderField(f.Name, milterValue(f)); err != nil || refused(action) {
			return nil, answerOf(action, err)
		}
	}
	action, err := t.session.HeaderEnd()
	if err != nil || refused(action) {
		return nil, answerOf(action, err)
	}
	if action.Code != milter.ActContinue { // it wants to hear no more
		return apply(header, body, t.to, nil, action), nil
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

// answerOf is the milter's refusal as Postfix passes it on, nil if there is none.
func answerOf(a *milter.Action, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrMilterGone, err)
	case !refused(a):
		return nil
	case a.Code == milter.ActReplyCode:
		// The text has the enhanced code in it.
		return &smtp.SMTPError{Code: a.SMTPCode, EnhancedCode: smtp.NoEnhancedCode, Message: a.SMTPText}
	case a.Code == milter.ActTempFail:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "try again later"}
	}
	return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "refused by the milter"}
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

// verdict is the milter's: the message as changed, without the recipients removed.
type verdict struct {
	content []byte
	removed map[string]bool
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
