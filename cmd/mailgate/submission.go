package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// submission is a message as sendmail gets it.
type submission struct {
	fromHeader bool // -t
	dots       bool // -i
	sender     string
	name       string
	to         []string
	domain     originFlag // of addresses without one

	from       mail.Address
	recipients []mail.Address
}

// address reads the addresses of the command line.
func (l *submission) address(origin mail.Domain) error {
	var err error
	switch l.sender {
	case "":
		l.from = mail.Address{Local: localUser(), Domain: origin}
	case "<>":
	default:
		if l.from, err = complete(l.sender, origin); err != nil {
			return coded(exitDataErr, fmt.Errorf("sender %q: %w", l.sender, err))
		}
	}
	for _, s := range l.to {
		a, err := complete(s, origin)
		if err != nil {
			return coded(exitDataErr, fmt.Errorf("recipient %q: %w", s, err))
		}
		l.add(a)
	}
	return nil
}

func (l *submission) add(a mail.Address) {
	if !slices.Contains(l.recipients, a) {
		l.recipients = append(l.recipients, a)
	}
}

// complete gives a bare name our domain, as sendmail does.
func complete(s string, origin mail.Domain) (mail.Address, error) {
	a, err := mail.ParsePath(s)
	if err != nil && !strings.Contains(s, "@") {
		a, err = mail.ParsePath(s + "@" + string(origin))
	}
	if err == nil && a.Domain == "" {
		a.Domain = origin
	}
	return a, err
}

const maxLetterHeader = 1 << 20

// read takes the message with CRLF line ends, and looks into its header.
func (l *submission) read(in io.Reader) (*spool.Buffer, error) {
	content := spool.NewBuffer("")
	if err := l.fill(content, bufio.NewReaderSize(in, 64<<10)); err != nil {
		content.Close()
		return nil, err
	}
	return content, nil
}

func (l *submission) fill(content *spool.Buffer, in *bufio.Reader) error {
	var head bytes.Buffer
	inHead := true
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the message: %w", err)
		}
		end := err != nil
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) == 0 || !l.dots && string(text) == "." {
			break
		}
		text = append(text[:len(text):len(text)], '\r', '\n')
		switch {
		case !inHead:
			if _, err := content.Write(text); err != nil {
				return err
			}
		case head.Len()+len(text) > maxLetterHeader:
			return errors.New("the header is too long")
		default:
			head.Write(text)
			inHead = len(text) > 2
			if !inHead {
				err := l.head(content, head.Bytes())
				if err != nil {
					return err
				}
			}
		}
		if end {
			break
		}
	}
	if inHead { // no body
		return l.head(content, append(head.Bytes(), '\r', '\n'))
	}
	return nil
}

// head gives addresses their domain, finds recipients and adds a missing From.
func (l *submission) head(content io.Writer, raw []byte) error {
	header, err := mail.ReadHeader(bufio.NewReader(bytes.NewReader(raw)), len(raw)+1)
	if err != nil {
		return fmt.Errorf("not a message: %w", err)
	}
	qualify(header, mail.Domain(l.domain))
	if l.fromHeader {
		for _, name := range []string{"To", "Cc", "Bcc"} {
			for _, f := range header.All(name) {
				if err := l.addAll(f); err != nil {
					return err
				}
			}
		}
	}
	if len(header.All("From")) == 0 && !l.from.IsNull() {
		from := "<" + l.from.String() + ">"
		if l.name != "" {
			from = phrase(l.name) + " " + from
		}
		if _, err := fmt.Fprintf(content, "From: %s\r\n", from); err != nil {
			return err
		}
	}
	_, err = content.Write(append(header.Bytes(), '\r', '\n'))
	return err
}

// phrase writes a display name: quoted, or encoded where it isn't ASCII.
func phrase(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if encoded := mime.QEncoding.Encode("utf-8", name); encoded != name {
		return encoded
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

func (l *submission) addAll(f mail.Field) error {
	_, value, _ := bytes.Cut(f.Raw, []byte(":"))
	text := strings.TrimSpace(string(bytes.ReplaceAll(value, []byte("\r\n"), nil)))
	if text == "" {
		return nil
	}
	list, err := netmail.ParseAddressList(text)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", f.Name, err)
	}
	for _, a := range list {
		address, err := mail.ParseUnquoted(a.Address)
		if err != nil {
			return fmt.Errorf("address %q of %s: %w", a.Address, f.Name, err)
		}
		l.add(address)
	}
	return nil
}

// submit gives the message to the relay: to all of its recipients or to none.
func (l *submission) submit(c *smtp.Client, hostname string, content io.Reader) error {
	if err := c.Hello(hostname); err != nil {
		return answered("greet the relay", err)
	}
	options := &smtp.MailOptions{}
	if ok, _ := c.Extension("8BITMIME"); ok {
		options.Body = smtp.Body8BitMIME
	}
	options.UTF8 = l.from.NeedsUTF8() || slices.ContainsFunc(l.recipients, mail.Address.NeedsUTF8)
	if err := c.Mail(l.from.String(), options); err != nil {
		return answered(fmt.Sprintf("sender <%s>", l.from), err)
	}
	for _, to := range l.recipients {
		if err := c.Rcpt(to.String(), nil); err != nil {
			return answered(fmt.Sprintf("recipient <%s>", to), err)
		}
	}
	data, err := c.Data()
	if err != nil {
		return answered("send the message", err)
	}
	if _, err := io.Copy(data, content); err != nil {
		return answered("send the message", err)
	}
	if err := data.Close(); err != nil {
		return answered("the relay's answer to the message", err)
	}
	_ = c.Quit() // it is taken
	return nil
}

// answered is err as the relay said it, with its codes.
func answered(doing string, err error) error {
	answer, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return &smtpRefusal{doing, answer}
}

// smtpRefusal is an answer of the relay that isn't the one hoped for.
type smtpRefusal struct {
	doing  string
	answer *smtp.SMTPError
}

func (e *smtpRefusal) Error() string {
	code := strconv.Itoa(e.answer.Code)
	if c := e.answer.EnhancedCode; c[0] > 0 {
		code += fmt.Sprintf(" %d.%d.%d", c[0], c[1], c[2])
	}
	return fmt.Sprintf("%s: %s %s", e.doing, code, strings.ReplaceAll(e.answer.Message, "\n", " "))
}

func (e *smtpRefusal) Unwrap() error { return e.answer }
