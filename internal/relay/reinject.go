// Package relay brings released mail out of custody. So far that is one road: back
// to the MTA it came from, by SMTP (RFC 5321), which then routes and delivers it
// as any other mail.
package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

const (
	dialTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	// The MTA passes the message through its milters before it answers.
	acceptTimeout = 5 * time.Minute
)

// Reinjector hands messages back to the MTA.
type Reinjector struct {
	Address  string      // host:port of the MTA's SMTP listener
	Hostname mail.Domain // for EHLO and the Received field
}

// Inject sends one message to some of its recipients in one transaction. An error
// means that the MTA took nothing; otherwise there is one Handover per recipient.
func (r *Reinjector) Inject(ctx context.Context, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, fmt.Errorf("reach the MTA: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	client := smtp.NewClient(conn)
	client.CommandTimeout = commandTimeout
	client.SubmissionTimeout = acceptTimeout
	if err := client.Hello(string(r.Hostname)); err != nil {
		return nil, fmt.Errorf("greet the MTA at %s: %w", r.Address, err)
	}
	results, err := r.transact(client, m, to, token, content)
	if err != nil {
		return nil, err
	}
	_ = client.Quit() // the answer to DATA stands
	return results, nil
}

func (r *Reinjector) transact(client *smtp.Client, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error) {
	if err := client.Mail(m.Envelope.From.String(), mailOptions(client, m)); err != nil {
		return nil, fmt.Errorf("MAIL FROM:<%s> at the MTA: %w", m.Envelope.From, err)
	}
	results := make([]spool.Handover, len(to))
	taken := 0
	for i, address := range to {
		results[i].Recipient = address
		err := client.Rcpt(address.String(), nil)
		if connectionLost(err) {
			return nil, fmt.Errorf("RCPT TO:<%s> at the MTA: %w", address, err)
		}
		if results[i].Err = err; err == nil {
			taken++
		}
	}
	if taken == 0 {
		return results, nil
	}
	answer, err := r.sendContent(client, m, token, content)
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i].Err == nil {
			results[i].Answer = answer
		}
	}
	return results, nil
}

func mailOptions(client *smtp.Client, m *spool.Message) *smtp.MailOptions {
	options := &smtp.MailOptions{}
	if ok, _ := client.Extension("8BITMIME"); ok {
		options.Body = smtp.Body8BitMIME
	}
	if ok, _ := client.Extension("SMTPUTF8"); ok && m.Envelope.SMTPUTF8 {
		options.UTF8 = true
	}
	return options
}

func (r *Reinjector) sendContent(client *smtp.Client, m *spool.Message, token string, content io.Reader) (string, error) {
	data, err := client.Data()
	if err != nil {
		return "", fmt.Errorf("DATA at the MTA: %w", err)
	}
	if _, err := io.Copy(data, io.MultiReader(r.trace(m, token), content)); err != nil {
		return "", fmt.Errorf("send the message to the MTA: %w", err)
	}
	response, err := data.CloseWithResponse()
	if err != nil {
		return "", fmt.Errorf("the MTA's answer to the message: %w", err)
	}
	return strings.TrimSpace(response.StatusText), nil
}

// trace is what goes before the original bytes: the token, and a Received field in
// place of the one the MTA wrote when the message first came (RFC 5321 section
// 4.4), which milters are not shown.
func (r *Reinjector) trace(m *spool.Message, token string) io.Reader {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\r\n", spool.TokenHeader, token)
	helo := printable(m.Envelope.Helo)
	if helo == "" {
		helo = "localhost"
	}
	fmt.Fprintf(&b, "Received: from %s", helo)
	if m.Envelope.Client.IsValid() {
		fmt.Fprintf(&b, " (%s)", addressLiteral(m))
	}
	fmt.Fprintf(&b, "\r\n\tby %s (mailgate) id %s;\r\n\t%s\r\n", r.Hostname, m.ID, m.Received.Format(time.RFC1123Z))
	return &b
}

func addressLiteral(m *spool.Message) string {
	a := m.Envelope.Client.Unmap()
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.WithZone("").String() + "]"
}

// printable keeps what may stand in a Received field.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune("();<>\"\\", c) {
			return -1
		}
		return c
	}, s)
}

// connectionLost tells a broken session from an answer of the MTA.
func connectionLost(err error) bool {
	if err == nil {
		return false
	}
	var answer *smtp.SMTPError
	var protocol *textproto.Error
	return !errors.As(err, &answer) && !errors.As(err, &protocol)
}
