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

	from       mail.Address
	recipients []mail.Address
}

// address reads the addresses of the command line.
func (l *submission) address(hostname mail.Domain) error {
	var err error
	switch l.sender {
	case "":
		l.from = mail.Address{Local: localUser(), Domain: hostname}
	case "<>":
	default:
		if l.from, err = complete(l.sender, hostname); err != nil {
			return coded(exitDataErr, fmt.Errorf("sender %q: %w", l.sender, err))
		}
	}
	for _, s := range l.to {
		a, err := complete(s, hostname)
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
func complete(s string, hostname mail.Domain) (mail.Address, error) {
	a, err := mail.ParsePath(s)
	if err != nil && !strings.Contains(s, "@") {
		a, err = mail.ParsePath(s + "@" + string(hostname))
	}
	if err == nil && a.Domain == "" {
		a.Domain = hostname
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

// head finds recipients and adds a missing From.
func (l *submission) head(content io.Writer, raw []byte) error {
	header, err := mail.ReadHeader(bufio.NewReader(bytes.NewReader(raw)), len(raw)+1)
	if err != nil {
		return fmt.Errorf("not a message: %w", err)
	}
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
	_, err = content.Write(raw)
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
		return fmt.Errorf("greet the relay: %w", err)
	}
	options := &smtp.MailOptions{}
	if ok, _ := c.Extension("8BITMIME"); ok {
		options.Body = smtp.Body8BitMIME
	}
	options.UTF8 = l.from.NeedsUTF8() || slices.ContainsFunc(l.recipients, mail.Address.NeedsUTF8)
	if err := c.Mail(l.from.String(), options); err != nil {
		return fmt.Errorf("sender <%s>: %w", l.from, err)
	}
	for _, to := range l.recipients {
		if err := c.Rcpt(to.String(), nil); err != nil {
			return fmt.Errorf("recipient <%s>: %w", to, err)
		}
	}
	data, err := c.Data()
	if err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if _, err := io.Copy(data, content); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if err := data.Close(); err != nil {
		return fmt.Errorf("the relay's answer to the message: %w", err)
	}
	_ = c.Quit() // it is taken
	return nil
}
